"""Zipped OBJ scans are converted to GLB in a child process."""

import asyncio
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from farm.errors import InvalidFormat
from farm.intake import archive, check_model, sandbox, wavefront
from tests.intake.scans import MTL, OBJ, picture, scan, zipped
from tests.support.assets import ASSETS

SAMPLE = ASSETS / "scan.zip"


def convert(
    content: bytes, folder: Path, timeout_seconds: float = 60, memory_mb: int = 4096
) -> tuple[dict[str, Any], bytes]:
    """The GLB's JSON and binary data, after the intake check."""
    source, target = folder / "scan.zip", folder / "scan.glb"
    source.write_bytes(content)
    with target.open("wb") as file:
        asyncio.run(sandbox.run("farm.intake.scan", source, file, timeout_seconds=timeout_seconds, memory_mb=memory_mb))
    check_model(target, "scan.glb")
    glb = target.read_bytes()
    (length,) = struct.unpack("<I", glb[12:16])
    return json.loads(glb[20 : 20 + length]), glb[28 + length :]


def texture_of(document: dict[str, Any], binary: bytes) -> bytes:
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    return binary[view["byteOffset"] :][: view["byteLength"]]


class TestConvert:
    def test_makes_the_scan_matte_and_keeps_its_texture(self, tmp_path: Path) -> None:
        document, binary = convert(SAMPLE.read_bytes(), tmp_path)
        (material,) = document["materials"]
        surface = material["pbrMetallicRoughness"]
        assert (surface["roughnessFactor"], surface["metallicFactor"]) == (1.0, 0.0)
        with zipfile.ZipFile(SAMPLE) as sample:
            jpeg = sample.read("stone.jpg")
        assert texture_of(document, binary).startswith(jpeg)

    def test_replaces_the_colour_by_a_texture(self, tmp_path: Path) -> None:
        document, _ = convert(scan(), tmp_path)  # whose Kd is black
        assert "baseColorFactor" not in document["materials"][0]["pbrMetallicRoughness"]

    def test_keeps_a_colour_without_a_texture(self, tmp_path: Path) -> None:
        document, _ = convert(scan(mtl=b"newmtl Stone\nKd 1 0 0\n", jpg=None), tmp_path)
        assert document["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] == [1, 0, 0, 1]

    def test_accepts_png_textures(self, tmp_path: Path) -> None:
        document, _ = convert(scan(jpg=picture("PNG")), tmp_path)
        assert document["images"][0]["mimeType"] == "image/png"

    def test_keeps_vertex_colours(self, tmp_path: Path) -> None:
        obj = b"v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0.5 0.5 0.5\nf 1 2 3\n"
        document, binary = convert(zipped({"a.obj": obj}), tmp_path)
        (primitive,) = document["meshes"][0]["primitives"]
        accessor = document["accessors"][primitive["attributes"]["COLOR_0"]]
        at = document["bufferViews"][accessor["bufferView"]]["byteOffset"]
        assert binary[at : at + 4] == bytes([255, 0, 0, 255])
        assert binary[at + 8] == 55  # sRGB 0.5 is linear 0.21
        assert document["materials"][primitive["material"]]["pbrMetallicRoughness"]["roughnessFactor"] == 1.0

    def test_makes_a_mesh_per_material(self, tmp_path: Path) -> None:
        mtl = MTL + b"newmtl Moss\nmap_Kd moss.png\n"
        files = {"a.obj": OBJ + b"usemtl Moss\nf 3/3 2/2 1/1\n", "a.mtl": mtl, "stone.jpg": picture()}
        document, _ = convert(zipped(files | {"moss.png": picture("PNG")}), tmp_path)
        assert sorted(material["name"] for material in document["materials"]) == ["Moss", "Stone"]
        assert len(document["images"]) == 2

    @pytest.mark.parametrize(
        "files",
        [
            {"scan/a.obj": OBJ, "scan/a.mtl": MTL, "scan/stone.jpg": picture()},
            {"a.obj": OBJ, "a.mtl": MTL, "textures/stone.jpg": picture()},
            {"A.OBJ": OBJ, "A.MTL": MTL, "Stone.JPG": picture()},
            {"a.obj": OBJ, "a.mtl": MTL.replace(b"stone.jpg", b"C:\\scans\\7\\stone.jpg"), "stone.jpg": picture()},
            {"a.obj": OBJ, "a.mtl": MTL.replace(b"stone.jpg", b"/etc/../tmp/stone.jpg"), "stone.jpg": picture()},
            {"a.obj": OBJ, "a.mtl": MTL.replace(b"map_Kd", b"map_Kd -s 1 1 1 -clamp on"), "stone.jpg": picture()},
            {"a.obj": OBJ, "a.mtl": MTL, "stone.jpg": picture(), "__MACOSX/._a.obj": b"x", ".DS_Store": b"x"},
            {"a.obj": OBJ, "a.mtl": MTL, "stone.jpg": picture(), "x/.a.obj": b"x", "readme.txt": b"x"},
            {"a.obj": OBJ.replace(b"\n", b"\r\n"), "a.mtl": MTL.replace(b"\n", b"\r\n"), "stone.jpg": picture()},
        ],
        ids=range(9),
    )
    def test_accepts_common_variants_of_zips(self, tmp_path: Path, files: dict[str, bytes]) -> None:
        document, _ = convert(zipped(files), tmp_path)
        assert len(document["images"]) == 1


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"no zip", "not a readable zip"),
            (b"", "not a readable zip"),
            (zipped({"a.txt": b"x"}), "no .obj"),
            (zipped({"a.obj": OBJ, "b/b.obj": OBJ}), "2 .obj files"),
            (scan(obj=b"v 0 0 0\n"), "no faces"),
            (scan(obj=b"f 1 2 3\n"), "no vertices"),
            (scan(obj=b"v 0 0 0\nf 1 2 900\n"), "damaged"),
            (scan(obj=b"v a b c\nf 1 1 1\n"), "damaged"),
            (scan(mtl=None), "'a.mtl'"),
            (scan(jpg=None), "'stone.jpg'"),
            (scan(jpg=b"root:x:0:0"), "not a readable JPG or PNG"),
            (scan(jpg=picture()[:200]), "not a readable JPG or PNG"),
            (scan(jpg=picture("GIF")), "not a readable JPG or PNG"),
            (scan(jpg=picture("PNG", (20000, 1))), "20000x1"),
            (zipped({f"{number}.txt": b"" for number in range(1001)}), "1001 entries"),
            (scan()[:-30], "not a readable zip"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_refuses_with_the_reason(self, tmp_path: Path, content: bytes, words: str) -> None:
        with pytest.raises(InvalidFormat, match=words):
            convert(content, tmp_path)

    def test_refuses_a_decompression_bomb(self, tmp_path: Path) -> None:
        bomb = zipped({"a.obj": bytes(archive.MAX_UNPACKED_BYTES + 1)})
        assert len(bomb) < 1024**2
        with pytest.raises(InvalidFormat, match="unpacks to more than 512 MB"):
            convert(bomb, tmp_path)

    def test_refuses_an_encrypted_zip(self, tmp_path: Path) -> None:
        content = bytearray(zipped({"a.obj": OBJ}))
        for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(signature) + at] |= archive.ENCRYPTED
        with pytest.raises(InvalidFormat, match="encrypted"):
            convert(bytes(content), tmp_path)

    def test_refuses_a_symbolic_link(self, tmp_path: Path) -> None:
        link = zipfile.ZipInfo("stone.jpg")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        path = tmp_path / "links.zip"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a.obj", OBJ)
            file.writestr("a.mtl", MTL)
            file.writestr(link, "/etc/passwd")
        with pytest.raises(InvalidFormat, match="not a readable JPG or PNG"):
            convert(path.read_bytes(), tmp_path)

    def test_refuses_a_scan_that_takes_too_long(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidFormat, match=r"longer than 0\.01 seconds"):
            convert(scan(), tmp_path, timeout_seconds=0.01)

    def test_refuses_a_scan_that_needs_too_much_memory(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidFormat, match="more than 400 MB of memory"):
            convert(zipped({"a.obj": b"v 0 0 0\n" * 10_000_000 + b"f 1 2 3\n"}), tmp_path, memory_mb=400)


class TestWavefront:
    @pytest.mark.parametrize(
        ("line", "texture"),
        [
            ("map_Kd a b.jpg", "a b.jpg"),
            ("map_Kd -s 1 1 1 a.jpg", "a.jpg"),
            ("map_Kd -clamp on -o 0.5 -0.5 on.jpg", "on.jpg"),
            ("map_kd  a.jpg", "a.jpg"),
        ],
    )
    def test_reads_the_texture_name_after_options(self, line: str, texture: str) -> None:
        (material,) = wavefront.materials(f"newmtl a\n{line}\n".encode())
        assert material.texture == texture
