"""The rules by which trainers read a dataset, restated in a few lines: none of them runs without a GPU.

Each function names its source, and returns 4x4 camera-to-world matrices in OpenGL's axes.
"""

import json
import math
import re
import struct
import zlib
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.dataset.dataset import Array

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
Files = dict[str, bytes]


class Cameras(NamedTuple):
    """The pose of each picture by its path in the ZIP, and the focal length and the principal point in pixels."""

    poses: dict[str, Array]
    focal: tuple[float, float]
    centre: tuple[float, float]


class Points(NamedTuple):
    """The ids, places and colours of points, and each point's picture with its pixel there."""

    places: dict[int, Array]
    colours: dict[int, list[int]]
    seen: dict[int, tuple[str, Array]]


def colmap_text(files: Files) -> tuple[Cameras, Points]:
    """read_extrinsics_text, read_intrinsics_text and read_points3D_text in scene/colmap_loader.py of 3DGS.

    pycolmap's scene_manager.py (gsplat's) stops at the first empty line, so there may be none.
    """
    lines = {
        part: [line for line in files[f"sparse/0/{part}.txt"].decode().splitlines() if not line.startswith("#")]
        for part in ("cameras", "images", "points3D")
    }
    assert all(line.strip() for each in lines.values() for line in each)
    [[_, model, *numbers]] = [line.split() for line in lines["cameras"]]
    assert model == "PINHOLE"
    _, _, *intrinsics = map(float, numbers)
    poses, seen = {}, dict[int, tuple[str, Array]]()
    for head, tail in zip(lines["images"][::2], lines["images"][1::2], strict=True):
        words, pixels = head.split(), np.array(tail.split(), dtype=float).reshape(-1, 3)
        name = f"images/{words[9]}"
        poses[name] = _opengl(list(map(float, words[1:5])), list(map(float, words[5:8])))
        seen |= {int(id_): (name, np.array([x, y])) for x, y, id_ in pixels}
    points = [line.split() for line in lines["points3D"]]
    return (
        Cameras(poses, (intrinsics[0], intrinsics[1]), (intrinsics[2], intrinsics[3])),
        Points(
            {int(words[0]): np.array(words[1:4], dtype=float) for words in points},
            {int(words[0]): list(map(int, words[4:7])) for words in points},
            seen,
        ),
    )


def colmap_binary(files: Files) -> tuple[Cameras, Points]:
    """read_extrinsics_binary and the others in scene/colmap_loader.py of 3DGS."""
    count, _, model, _, _, *intrinsics = struct.unpack("<QiiQQ4d", files["sparse/0/cameras.bin"])
    assert (count, model) == (1, 1)
    poses, seen = {}, {}
    data, at = files["sparse/0/images.bin"], 8
    for _ in range(struct.unpack_from("<Q", data)[0]):
        _, *numbers, _ = struct.unpack_from("<idddddddi", data, at)
        end = data.index(b"\0", at + 64)
        name = f"images/{data[at + 64 : end].decode()}"
        poses[name] = _opengl(numbers[:4], numbers[4:])
        [number] = struct.unpack_from("<Q", data, end + 1)
        for x, y, id_ in struct.iter_unpack("<ddq", data[end + 9 : end + 9 + 24 * number]):
            seen[id_] = name, np.array([x, y])
        at = end + 9 + 24 * number
    assert at == len(data)
    places, colours = {}, {}
    data, at = files["sparse/0/points3D.bin"], 8
    for _ in range(struct.unpack_from("<Q", data)[0]):
        id_, *numbers, length = struct.unpack_from("<QdddBBBdQ", data, at)
        places[id_], colours[id_] = np.array(numbers[:3]), numbers[3:6]
        at += 51 + 8 * length
    assert at == len(data)
    cameras = Cameras(poses, (intrinsics[0], intrinsics[1]), (intrinsics[2], intrinsics[3]))
    return cameras, Points(places, colours, seen)


def nerfstudio_colmap(files: Files) -> dict[str, Array]:
    """_get_all_images_and_cameras in nerfstudio/data/dataparsers/colmap_dataparser.py.

    It prefers the text, turns the world, and states by what in applied_transform, which is undone here.
    """
    turned = np.eye(4)[[0, 2, 1, 3]]
    turned[2] *= -1
    found = {}
    for name, pose in colmap_text(files)[0].poses.items():
        camera_to_world = pose[[0, 2, 1, 3], :]
        camera_to_world[2, :] *= -1
        found[name] = np.linalg.inv(turned) @ camera_to_world
    return found


def nerf_synthetic(files: Files, part: str) -> tuple[Cameras, int]:
    """nerfstudio/data/dataparsers/blender_dataparser.py; 3DGS's readCamerasFromTransforms appends .png in the same way.

    Also returns the pictures' width.
    """
    folder = PurePosixPath("nerf_synthetic")
    content = json.loads(files[f"nerf_synthetic/transforms_{part}.json"])
    poses = {
        str(folder / (frame["file_path"].replace("./", "") + ".png")): np.array(frame["transform_matrix"])
        for frame in content["frames"]
    }
    width = struct.unpack(">I", files[next(iter(poses))][16:20])[0]
    focal = 0.5 * width / math.tan(0.5 * float(content["camera_angle_x"]))
    return Cameras(poses, (focal, focal), (width / 2, width / 2)), width


def nerfstudio_depth(files: Files, decoded: Any) -> dict[str, tuple[Array, Array]]:
    """Depths and poses by picture: nerfstudio_dataparser.py and get_depth_image_from_path in data/utils/data_utils.py.

    `decoded` is a function from a file's bytes to its levels.
    """
    folder, scale = "depth_linear", 1e-3  # the default of depth_unit_scale_factor
    content = json.loads(files[f"{folder}/transforms.json"])
    assert _resolved(folder, content["ply_file_path"]) in files
    return {
        _resolved(folder, frame["file_path"]): (
            decoded(files[_resolved(folder, frame["depth_file_path"])]).astype(np.float64) * scale,
            np.array(frame["transform_matrix"]),
        )
        for frame in content["frames"]
    }


def exr(data: bytes) -> NDArray[np.float32]:
    """The channel Y of a ZIP-compressed OpenEXR file: "OpenEXR File Layout", and ImfZip.cpp for the compression.

    OpenCV's grfmt_exr.cpp takes the channel Y, or Z, where there is no colour.
    """
    assert b"channels\0chlist\0" + struct.pack("<i", 19) + b"Y\0" + struct.pack("<i", 2) in data
    box = data.index(b"dataWindow\0box2i\0") + 21
    _, _, right, bottom = struct.unpack_from("<4i", data, box)
    at = data.index(b"screenWindowWidth\0float\0") + 24 + 4 + 4 + 1
    blocks = -(-(bottom + 1) // 16)
    rows = []
    for start in struct.unpack_from(f"<{blocks}Q", data, at):
        top, size = struct.unpack_from("<2i", data, start)
        length = 4 * (right + 1) * (min(top + 16, bottom + 1) - top)
        packed = data[start + 8 : start + 8 + size]
        if size < length:
            steps = np.frombuffer(zlib.decompress(packed), np.uint8).astype(np.int64)
            ordered = (np.cumsum(steps) - 128 * np.arange(length)).astype(np.uint8)
            halves = -(-length // 2)
            mixed = np.empty(length, np.uint8)
            mixed[::2], mixed[1::2] = ordered[:halves], ordered[halves:]
            packed = mixed.tobytes()
        rows.append(np.frombuffer(packed, "<f4"))
    depths: NDArray[np.float32] = np.concatenate(rows).reshape(bottom + 1, right + 1)
    return depths


def instant_ngp_alpha(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where convert_rgba32 in src/nerf_loader.cu leaves a picture opaque, with white_transparent."""
    opaque: NDArray[np.bool_] = (picture != 255).any(axis=-1)
    return opaque


def _opengl(quaternion: list[float], translation: list[float]) -> Array:
    """From COLMAP's world-to-camera; qvec2rotmat in scene/colmap_loader.py of 3DGS."""
    w, x, y, z = quaternion
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = [
        [1 - 2 * y**2 - 2 * z**2, 2 * x * y - 2 * w * z, 2 * z * x + 2 * w * y],
        [2 * x * y + 2 * w * z, 1 - 2 * x**2 - 2 * z**2, 2 * y * z - 2 * w * x],
        [2 * z * x - 2 * w * y, 2 * y * z + 2 * w * x, 1 - 2 * x**2 - 2 * y**2],
    ]
    world_to_camera[:3, 3] = translation
    pose: Array = np.linalg.inv(world_to_camera) @ FLIP
    return pose


def _resolved(folder: str, path: str) -> str:
    return re.sub(r"[^/]+/\.\./", "", f"{folder}/{path}")
