"""The dataset as a COLMAP model in sparse/0, as text and in binary. Pure functions.

Formats: colmap.github.io/format.html. Both have the same content: nerfstudio reads the text if there is any, 3DGS the
binary files first, and gsplat's examples these only.

The camera is COLMAP's: +X right, +Y down, looking along +Z. Each surface point has a track of one view, the one that it
was sampled from, so no view is without points where a reader expects some.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from farm.dataset.cameras import project
from farm.dataset.points import Points
from farm.scene.camera import Array
from farm.scene.views import focal

FOLDER = "sparse/0"
CAMERA_ID, PINHOLE = 1, 1  # the only camera, and its model's number
FLIP = np.diag([1.0, -1.0, -1.0])  # between OpenGL's camera axes and COLMAP's


class Model:
    """The files of a model. `poses` are camera-to-world matrices in OpenGL's axes, `points` each view's own points."""

    def __init__(self, side: int, poses: Sequence[Array], points: Sequence[Points]) -> None:
        self._side, self._poses, self._points = side, poses, points
        self._first_ids = np.cumsum([1, *map(len, points)]).tolist()

    def files(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """The files by name. `names` are those of the pictures in images/, in the order of the views."""
        for kind, content in (
            ("cameras.txt", self._cameras_text()),
            ("images.txt", self._images_text(names)),
            ("points3D.txt", self._points_text()),
            ("cameras.bin", self._cameras_binary()),
            ("images.bin", self._images_binary(names)),
            ("points3D.bin", self._points_binary()),
        ):
            yield f"{FOLDER}/{kind}", content

    @cached_property
    def _intrinsics(self) -> tuple[float, float, float, float]:
        return focal(self._side), focal(self._side), self._side / 2, self._side / 2

    def _cameras_text(self) -> bytes:
        values = " ".join(map(repr, self._intrinsics))
        camera = f"{CAMERA_ID} PINHOLE {self._side} {self._side} {values}"
        return f"# CAMERA_ID MODEL WIDTH HEIGHT FX FY CX CY\n{camera}\n".encode()

    def _images_text(self, names: Sequence[str]) -> bytes:
        lines = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then X Y POINT3D_ID of each of its points"]
        for number, name in enumerate(names):
            lines.append(f"{number + 1} {' '.join(map(repr, world_to_camera(self._poses[number])))} {CAMERA_ID} {name}")
            ids = range(self._first_ids[number], self._first_ids[number + 1])
            pixels = self._pixels(number).tolist()
            lines.append(" ".join(f"{x:.3f} {y:.3f} {id_}" for (x, y), id_ in zip(pixels, ids, strict=True)))
        return "\n".join([*lines, ""]).encode()

    def _points_text(self) -> bytes:
        lines = ["# POINT3D_ID X Y Z R G B ERROR, then IMAGE_ID POINT2D_IDX of each view of its track"]
        for number, points in enumerate(self._points):
            for position, (xyz, rgb) in enumerate(points.tolist()):
                id_ = self._first_ids[number] + position
                place = " ".join(f"{value:.7g}" for value in xyz)
                lines.append(f"{id_} {place} {' '.join(map(str, rgb))} 0 {number + 1} {position}")
        return "\n".join([*lines, ""]).encode()

    def _cameras_binary(self) -> bytes:
        return struct.pack("<QiiQQ4d", 1, CAMERA_ID, PINHOLE, self._side, self._side, *self._intrinsics)

    def _images_binary(self, names: Sequence[str]) -> bytes:
        blocks = [struct.pack("<Q", len(names))]
        for number, name in enumerate(names):
            seen = np.empty(len(self._points[number]), [("xy", "<f8", 2), ("id", "<u8")])
            seen["xy"], seen["id"] = self._pixels(number), self._first_ids[number] + np.arange(len(seen))
            blocks.append(struct.pack("<i7di", number + 1, *world_to_camera(self._poses[number]), CAMERA_ID))
            blocks.append(name.encode() + b"\0" + struct.pack("<Q", len(seen)) + seen.tobytes())
        return b"".join(blocks)

    def _points_binary(self) -> bytes:
        kind = np.dtype(
            [
                ("id", "<u8"),
                ("xyz", "<f8", 3),
                ("rgb", "u1", 3),
                ("error", "<f8"),
                ("length", "<u8"),
                ("track", "<i4", 2),
            ]
        )
        rows = np.zeros(self._first_ids[-1] - 1, kind)
        rows["id"], rows["length"] = np.arange(len(rows)) + 1, 1
        for number, points in enumerate(self._points):
            own = rows[self._first_ids[number] - 1 : self._first_ids[number + 1] - 1]
            own["xyz"], own["rgb"] = points["xyz"], points["rgb"]
            own["track"][:, 0], own["track"][:, 1] = number + 1, np.arange(len(points))
        return struct.pack("<Q", len(rows)) + rows.tobytes()

    def _pixels(self, number: int) -> Array:
        """Where the view's points are in its picture, shape (n, 2)."""
        return project(self._points[number]["xyz"].astype(np.float64), self._side, self._poses[number])


def world_to_camera(pose: Array) -> list[float]:
    """A pose as COLMAP has it: QW, QX, QY, QZ, TX, TY, TZ."""
    rotation = FLIP @ pose[:3, :3].T
    return [*quaternion(rotation), *(-rotation @ pose[:3, 3]).tolist()]


def quaternion(rotation: Array) -> list[float]:
    """The unit quaternion W, X, Y, Z of a 3x3 rotation, W not negative.

    It is the eigenvector of the largest eigenvalue in I. Y. Bar-Itzhack, "New method for extracting the quaternion from
    a rotation matrix" (2000), which is exact for all rotations.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx - yy - zz, xy + yx, xz + zx, zy - yz],
            [xy + yx, yy - xx - zz, yz + zy, xz - zx],
            [xz + zx, yz + zy, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    x, y, z, w = np.linalg.eigh(symmetric)[1][:, -1].tolist()
    return [w, x, y, z] if w >= 0 else [-w, -x, -y, -z]
