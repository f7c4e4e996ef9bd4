"""Zipped OBJ scans are converted to GLB in a child process."""

import random
import tempfile
import zipfile
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from farm.errors import InvalidFormat
from farm.intake import archive
from tests.intake.scans import MTL, OBJ, converted, picture, scan, surfaces, zipped
from tests.support.assets import ASSETS

pytestmark = pytest.mark.slow

SAMPLE = ASSETS / "scan.zip"


class TestConvert:
    def test_makes_the_sample_scan_matte_with_its_texture(self, tmp_path: Path) -> None:
        found = converted(SAMPLE.read_bytes(), tmp_path)
        surface = found.material["pbrMetallicRoughness"]
        assert (surface["roughnessFactor"], surface["metallicFactor"]) == (1.0, 0.0)
        with zipfile.ZipFile(SAMPLE) as sample:
            assert found.image() == sample.read("stone.jpg")

    def test_prefers_a_texture_to_the_colour_beside_it(self, tmp_path: Path) -> None:
        found = converted(scan(), tmp_path)  # whose Kd is black
        assert "baseColorFactor" not in found.material["pbrMetallicRoughness"]

    def test_keeps_a_colour_without_a_texture(self, tmp_path: Path) -> None:
        found = converted(scan(mtl=b"newmtl Stone\nKd 1 0 0\n", jpg=None), tmp_path)
        assert found.material["pbrMetallicRoughness"]["baseColorFactor"] == [1, 0, 0, 1]

    def test_both_sides_are_seen(self, tmp_path: Path) -> None:
        assert converted(scan(), tmp_path).material["doubleSided"]

    def test_keeps_vertex_colours(self, tmp_path: Path) -> None:
        obj = b"v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0.5 0.5 0.5\nf 1 2 3\n"
        found = converted(zipped({"a.obj": obj}), tmp_path)
        colors = found.attribute("COLOR_0")[:, :3]
        assert colors[:2].tolist() == [[1, 0, 0], [0, 1, 0]]
        assert colors[2] == pytest.approx([0.214] * 3, abs=0.001)  # sRGB 0.5 is linear 0.214
        assert found.material["pbrMetallicRoughness"]["baseColorFactor"] == [1, 1, 1, 1]
        assert found.material["pbrMetallicRoughness"]["roughnessFactor"] == 1.0

    def test_vertex_colours_up_to_255_are_the_same_colours(self, tmp_path: Path) -> None:
        obj = b"v 0 0 0 255 0 0\nv 1 0 0 0 255 0\nv 0 1 0 0 0 255\nf 1 2 3\n"
        found = converted(zipped({"a.obj": obj}), tmp_path)
        assert found.attribute("COLOR_0")[:, :3].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]

    def test_prefers_a_texture_to_vertex_colours(self, tmp_path: Path) -> None:
        obj = OBJ.replace(b"v 0 0 0\n", b"v 0 0 0 1 0 0\n").replace(b"v 1 0 0\n", b"v 1 0 0 1 0 0\n")
        found = converted(scan(obj=obj.replace(b"v 0 1 0\n", b"v 0 1 0 1 0 0\n")), tmp_path)
        assert "COLOR_0" not in found.document["meshes"][0]["primitives"][0]["attributes"]

    def test_gives_two_materials_their_own_textures(self, tmp_path: Path) -> None:
        mtl = MTL + b"newmtl Moss\nmap_Kd moss.png\n"
        files = {"a.obj": OBJ + b"v 1 1 0\nusemtl Moss\nf 3/3 2/2 4/1\n", "a.mtl": mtl, "stone.jpg": picture()}
        found = converted(zipped(files | {"moss.png": picture("PNG")}), tmp_path)
        names = {}
        for primitive in found.document["meshes"][0]["primitives"]:
            material = found.document["materials"][primitive["material"]]
            texture = found.document["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
            names[material["name"]] = found.document["images"][texture["source"]]["mimeType"]
        assert names == {"Moss": "image/png", "Stone": "image/jpeg"}


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"no zip", "not a readable zip"),
            (b"", "not a readable zip"),
            (zipped({"a.txt": b"x"}), "no .obj"),
            (zipped({"shop/Chair.GLB": b"glTF"}), "send that itself"),
            (zipped({"a.obj": OBJ, "b/b.obj": OBJ}), "2 .obj files"),
            (scan(obj=b"v 0 0 0\n"), "no faces"),
            (scan(obj=b"f 1 2 3\n"), "no vertices"),
            (scan(obj=b"v 0 0 0\nf 1 1 1\n"), "no face that is a surface"),
            (scan(obj=b"v 0 0 0\nf -1 -2 -3\nv 0 0 0\nv 0 0 0\n"), "damaged"),
            (scan(obj=b"v 0 0 0\nvt 0 0\nf 1/1 1/2 1/1\n"), "texture coordinate 2 of 1"),
            (scan(obj=b"v 0 0 0\nvn 0 0 1\nf 1//1 1//1 1//7\n"), "normal 7 of 1"),
            (scan(obj=b"v 0 0 0\nvt 0 0\nf 1/-2 1/1 1/1\n"), "damaged"),
            (scan(obj=b"v 0 0 nan\nf 1 1 1\n"), "damaged"),
            (scan(obj=b"v 0 0 0\nf 1 2 900\n"), "damaged"),
            (scan(obj=b"v a b c\nf 1 1 1\n"), "damaged"),
            (scan(mtl=None), "'a.mtl'"),
            (scan(jpg=None), "'stone.jpg'"),
            (scan(jpg=b"root:x:0:0"), "not a readable JPG"),
            (scan(jpg=picture()[:200]), "not a readable JPG"),
            (scan(jpg=picture("GIF")), "not a readable JPG"),
            (scan(jpg=picture("PNG", (20000, 1))), "20000x1"),
            (zipped({f"{number}.txt": b"" for number in range(1001)}), "1001 entries"),
            (scan()[:-30], "not a readable zip"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_refuses_with_the_reason(self, tmp_path: Path, content: bytes, words: str) -> None:
        with pytest.raises(InvalidFormat, match=words):
            converted(content, tmp_path)

    def test_refuses_a_decompression_bomb(self, tmp_path: Path) -> None:
        bomb = zipped({"a.obj": bytes(archive.MAX_UNPACKED_BYTES + 1)})
        assert len(bomb) < 1024**2
        with pytest.raises(InvalidFormat, match="unpacks to more than 512 MB"):
            converted(bomb, tmp_path)

    def test_refuses_an_encrypted_zip(self, tmp_path: Path) -> None:
        content = bytearray(zipped({"a.obj": OBJ}))
        for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.index(signature) + at] |= archive.ENCRYPTED
        with pytest.raises(InvalidFormat, match="encrypted"):
            converted(bytes(content), tmp_path)

    def test_refuses_a_symbolic_link(self, tmp_path: Path) -> None:
        link = zipfile.ZipInfo("stone.jpg")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        path = tmp_path / "links.zip"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a.obj", OBJ)
            file.writestr("a.mtl", MTL)
            file.writestr(link, "/etc/passwd")
        with pytest.raises(InvalidFormat, match="not a readable JPG"):
            converted(path.read_bytes(), tmp_path)

    def test_refuses_a_scan_that_takes_too_long(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidFormat, match=r"longer than 0\.01 seconds"):
            converted(scan(), tmp_path, timeout_seconds=0.01)

    def test_refuses_one_that_takes_too_much_memory(self, tmp_path: Path) -> None:
        faces = [b"f 1 2 3\n", b"f 2 3 1\n", b"f 3 1 2\n", b"f 2 1 3\n"]
        obj = b"v 0 0 0\nv 1 0 0\nv 0 1 0\n" + b"".join(random.Random(1).choices(faces, k=3_000_000))
        with pytest.raises(InvalidFormat, match="more than 1300 MB of memory"):
            converted(zipped({"a.obj": obj}), tmp_path, memory_mb=1300)

    def test_logs_a_crash_of_blender(self, tmp_path: Path) -> None:
        with capture_logs() as logs, pytest.raises(InvalidFormat, match="cannot be opened"):
            converted(scan(), tmp_path, memory_mb=300)  # in which Blender cannot even start
        (event,) = logs
        assert (event["event"], event["module"]) == ("sandbox_failed", "farm.intake.scan")
        assert "farm.blender.obj_to_glb" in event["output"]

    def test_leaves_no_temporary_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        count = 600_000
        large = b"".join(b"v %d %d 0\n" % divmod(number, 2) for number in range(count + 2))
        large += b"".join(b"f %d %d %d\n" % (number, number + 1, number + 2) for number in range(1, count))
        with pytest.raises(InvalidFormat, match="longer than"):
            converted(zipped({"a.obj": large}), tmp_path, timeout_seconds=1.2)
        assert list(scratch.iterdir()) == []


class TestLimits:
    def test_refuses_more_entries_than_can_be_listed(self, tmp_path: Path) -> None:
        many = zipped({f"{number}.txt": b"" for number in range(1001)})
        with pytest.raises(InvalidFormat, match="has 1001 entries, 1000 are allowed"):
            surfaces(many, tmp_path)
        with pytest.raises(InvalidFormat, match="has far more than 1000 entries"):
            surfaces(zipped({f"{number}.txt": b"" for number in range(90_000)}), tmp_path)

    def test_refuses_a_long_path(self, tmp_path: Path) -> None:
        assert surfaces(zipped({"x" * 252 + ".obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"}), tmp_path)
        with pytest.raises(InvalidFormat, match=r"has 257 characters, 256 are allowed"):
            surfaces(zipped({"x" * 253 + ".obj": OBJ}), tmp_path)

    def test_refuses_a_bomb_before_it_is_unpacked(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidFormat, match="unpacks to over 100 times its size"):
            surfaces(scan(obj=OBJ + b" " * 20 * 1024**2), tmp_path)
        with pytest.raises(InvalidFormat, match="unpacks to more than 512 MB"):
            surfaces(scan(jpg=bytes(513 * 1024**2)), tmp_path)

    def test_limits_the_pixels_of_all_textures(self, tmp_path: Path) -> None:
        obj = OBJ + b"v 5 0 0\nv 6 0 0\nv 5 1 0\nusemtl Wood\nf 4/1 5/2 6/3\n"
        mtl = MTL + b"newmtl Wood\nmap_Kd wood.png\nmap_Pr stone.jpg\n"
        files = {"a.obj": obj, "a.mtl": mtl, "stone.jpg": picture(), "wood.png": picture("PNG", (8, 2))}
        content = zipped(files)
        assert len(converted(content, tmp_path, max_texture_pixels=32).document["materials"]) == 2
        with pytest.raises(InvalidFormat, match="have more than 31 pixels together"):
            converted(content, tmp_path, max_texture_pixels=31)

    def test_limits_the_materials(self, tmp_path: Path) -> None:
        content = scan(obj=OBJ + b"usemtl Wood\nf 1/1 2/2 3/3\n")
        with pytest.raises(InvalidFormat, match=r"'a.obj' uses 2 materials: 1 are allowed"):
            converted(content, tmp_path, max_materials=1)

    def test_limits_the_material_files(self, tmp_path: Path) -> None:
        lines = b"".join(b"mtllib %d.mtl\n" % number for number in range(101))
        with pytest.raises(InvalidFormat, match=r"'a.obj' has 102 mtllib lines: 100 are allowed"):
            converted(scan(obj=lines + OBJ), tmp_path)

    def test_cuts_long_names(self, tmp_path: Path) -> None:
        name = b"n" * 100_000
        content = scan(obj=OBJ.replace(b"Stone", name), mtl=MTL.replace(b"Stone", name))
        assert converted(content, tmp_path).material["name"] == "n" * 256
