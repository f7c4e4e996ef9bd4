"""Zipped scans of a triangle, made of their parts, and their conversion."""

import asyncio
import io
import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from farm.blender import obj_to_glb
from farm.intake import confined_process, scan_glb
from farm.intake.archive import Archive
from farm.intake.check import check_model
from farm.intake.scan import prepare
from farm.intake.scan_glb import Surface
from tests.support.blender import InsideBlender

OBJ = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl Stone\nf 1/1 2/2 3/3\n"
MTL = b"newmtl Stone\nKd 0 0 0\nmap_Kd stone.jpg\n"


def picture(kind: str = "JPEG", size: tuple[int, int] = (4, 4)) -> bytes:
    return saved(Image.new("RGB", size, "gray"), kind)


def saved(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def scan(**changes: bytes | None) -> bytes:
    """A sound scan but for the changes: obj, mtl, jpg; None leaves the file out."""
    files = {"a.obj": OBJ, "a.mtl": MTL, "stone.jpg": picture()}
    keys = {"obj": "a.obj", "mtl": "a.mtl", "jpg": "stone.jpg"}
    for key, content in changes.items():
        files.pop(keys[key])
        if content is not None:
            files[keys[key]] = content
    return zipped(files)


@dataclass(frozen=True)
class Converted:
    """The JSON and the binary part of a GLB."""

    document: dict[str, Any]
    binary: bytes

    @property
    def material(self) -> dict[str, Any]:
        """The only material."""
        (material,) = self.document["materials"]
        assert isinstance(material, dict)
        return material

    def image(self, number: int = 0) -> bytes:
        view = self.document["bufferViews"][self.document["images"][number]["bufferView"]]
        return self.binary[view["byteOffset"] :][: view["byteLength"]]

    def array(self, accessor: int) -> npt.NDArray[np.float64]:
        """The accessor's elements, one a row; normalised integers as numbers from 0 to 1."""
        facts = self.document["accessors"][accessor]
        kind = {5123: np.uint16, 5125: np.uint32, 5126: np.float32}[facts["componentType"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[facts["type"]]
        start = self.document["bufferViews"][facts["bufferView"]]["byteOffset"]
        values = np.frombuffer(self.binary, kind, facts["count"] * width, start).astype(float)
        return values.reshape(-1, width) / (np.iinfo(np.uint16).max if facts.get("normalized") else 1)

    def attribute(self, name: str) -> npt.NDArray[np.float64]:
        """An attribute of the first primitive."""
        return self.array(self.document["meshes"][0]["primitives"][0]["attributes"][name])

    @property
    def triangles(self) -> npt.NDArray[np.float64]:
        """The corners of all triangles, shape (n, 3, 3)."""
        found = []
        for primitive in self.document["meshes"][0]["primitives"]:
            corners = self.array(primitive["indices"])[:, 0].astype(int)
            found.append(self.array(primitive["attributes"]["POSITION"])[corners].reshape(-1, 3, 3))
        return np.concatenate(found)

    @property
    def area(self) -> float:
        """The sum of the triangles' areas."""
        first, second, third = self.triangles.transpose(1, 0, 2)
        return float(np.linalg.norm(np.cross(second - first, third - first), axis=1).sum() / 2)


def surfaces(content: bytes, folder: Path) -> dict[str, Surface]:
    """The scan's materials by their names, without Blender. Raises InvalidFormat."""
    archive = Archive(io.BytesIO(content))
    (path,) = archive.with_suffix(".obj")
    return {surface.name: surface for surface in prepare(archive, path, folder / "clean.obj").values()}


def converted(
    content: bytes, folder: Path, timeout_seconds: float = 100, memory_mb: int = 4096, **work_limits: int
) -> Converted:
    """The scan's GLB, which has passed the check; `work_limits` are those of `prepare`. Raises InvalidFormat."""
    source, target = folder / "scan.zip", folder / "scan.glb"
    source.write_bytes(content)
    with target.open("wb") as file:
        limits: dict[str, Any] = {"timeout_seconds": timeout_seconds, "memory_mb": memory_mb, **work_limits}
        asyncio.run(confined_process.run("farm.intake.scan", source, file, **limits))
    return checked(target)


def converted_inside(inside: InsideBlender, content: bytes, folder: Path) -> Converted:
    """Like `converted`, but in a process that is already running, and with no limits: for what the GLB holds."""
    archive, clean, meshes = Archive(io.BytesIO(content)), folder / "clean.obj", folder / "meshes.glb"
    (path,) = archive.with_suffix(".obj")
    surfaces = prepare(archive, path, clean)
    inside(make_meshes, clean, meshes)
    with (folder / "scan.glb").open("wb") as file:
        scan_glb.finish(meshes, surfaces, path.stem, file)
    return checked(folder / "scan.glb")


def make_meshes(clean: Path, meshes: Path) -> None:
    """Convert the OBJ of `prepare`; to be called in Blender."""
    with clean.open("rb") as source, meshes.open("wb") as target:
        obj_to_glb.convert(source, target)


def checked(path: Path) -> Converted:
    """The GLB, which has passed the check. Raises InvalidFormat."""
    check_model(path, "scan.glb")
    glb = path.read_bytes()
    (length,) = struct.unpack("<I", glb[12:16])
    return Converted(json.loads(glb[20 : 20 + length]), glb[28 + length :])
