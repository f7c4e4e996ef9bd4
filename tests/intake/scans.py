"""Zipped scans of a triangle, made of their parts."""

import io
import zipfile

from PIL import Image

OBJ = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl Stone\nf 1/1 2/2 3/3\n"
MTL = b"newmtl Stone\nKd 0 0 0\nmap_Kd stone.jpg\n"


def picture(kind: str = "JPEG", size: tuple[int, int] = (4, 4)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "gray").save(file, kind)
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
