"""Hostile zips of scans: bombs, names that lead out of a folder, broken directories, broken OBJ, MTL and textures."""

import io
import struct
import zipfile
from collections.abc import Iterator

from tests.support.hostile_pictures import picture, png_of

OBJ = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl Stone\nf 1/1 2/2 3/3\n"
MTL = b"newmtl Stone\nmap_Kd stone.png\n"


def scans() -> Iterator[tuple[str, bytes, str]]:
    """Suffix, content and description of each. Blender is not needed to refuse them."""
    files = {"a.obj": OBJ, "a.mtl": MTL, "stone.png": picture("PNG")}
    good = zipped(files)
    for what, content in {
        "no zip": b"PK\3\4" + bytes(100),
        "an empty zip": zipped({}),
        "a zip that is cut": good[: len(good) // 2],
        "100,000 entries": zipped({f"{number}": b"" for number in range(100_000)}),
        "1001 entries": zipped(files | {f"{number}.txt": b"" for number in range(1001)}),
        "a directory of 4 GB": good[:-10] + struct.pack("<I", 2**32 - 2) + good[-6:],
        "an OBJ of a gigabyte": zipped(files | {"a.obj": bytes(1024**2) * 1024}),
        "an OBJ of half a gigabyte of spaces": zipped(files | {"a.obj": b" " * 1024**2 * 500}),
        "a name of 60,000 characters": zipped(files | {"x" * 60_000 + ".obj": OBJ}),
        "two OBJ files": zipped(files | {"b.obj": OBJ}),
        "no OBJ": zipped({"a.mtl": MTL}),
        "an encrypted OBJ": _with_flag(good, 1),
        "a method that does not exist": good.replace(
            b"PK\1\2\x14\x03\x14\0\0\0\x08\0", b"PK\1\2\x14\x03\x14\0\0\0\x63\0"
        ),
        "an OBJ without faces": zipped(files | {"a.obj": b"v 0 0 0\n"}),
        "an OBJ of noise": zipped(files | {"a.obj": b"f 1//// -9999999999999999999 nan\n" * 1000}),
        "a face of vertices that do not exist": zipped(files | {"a.obj": b"v 0 0 0\nf 1 2 3000000000\n"}),
        "vertices that are not finite": zipped(files | {"a.obj": OBJ.replace(b"v 1 0 0", b"v nan inf 1e999")}),
        "a hundred thousand mtllib lines": zipped(
            files | {"a.obj": b"".join(b"mtllib %d.mtl\n" % number for number in range(100_000)) + OBJ}
        ),
        "a hundred thousand materials": zipped(
            files | {"a.obj": OBJ + b"".join(b"usemtl m%d\nf 1 2 3\n" % number for number in range(100_000))}
        ),
        "a missing texture": zipped({"a.obj": OBJ, "a.mtl": MTL}),
        "a texture of 20,000 pixels a side": zipped(files | {"stone.png": png_of(20_000, 20_000, "1")}),
        "a texture that is cut": zipped(files | {"stone.png": files["stone.png"][:1000]}),
        "a texture that is text": zipped(files | {"stone.png": b"/etc/passwd"}),
    }.items():
        yield "zip", content, what
    for path in (
        "/etc/passwd",
        "../../../etc/passwd",
        "file:///etc/passwd",
        "\\\\host\\share\\a.png",
        "/dev/zero",
        "|id",
    ):
        outside = MTL.replace(b"stone.png", path.encode())
        yield "zip", zipped(files | {"a.mtl": outside}), f"a texture at {path}"
        yield "zip", zipped(files | {"a.obj": OBJ.replace(b"a.mtl", path.encode())}), f"an MTL at {path}"


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def _with_flag(content: bytes, flag: int) -> bytes:
    """The zip with a flag set in each entry of its directory."""
    changed, at = bytearray(content), content.find(b"PK\1\2")
    while at >= 0:
        changed[at + 8] |= flag
        at = content.find(b"PK\1\2", at + 1)
    return bytes(changed)
