"""Files and materials of a scan are found by the names that programs write, in any encoding."""

import io
import unicodedata
import zipfile
from pathlib import Path, PurePosixPath
from typing import Literal

import pytest

from farm.errors import InvalidFormat
from farm.intake import wavefront
from tests.intake.scans import MTL, OBJ, picture, scan, surfaces, zipped

STONE = picture("PNG", (5, 5))
OTHER = picture("PNG", (7, 7))


class UnflaggedName(zipfile.ZipInfo):
    """An entry whose name is written as CP437, which has all bytes, without the flag that declares UTF-8."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp437"), 0


def in_zip_encoding(files: dict[str, bytes], encoding: str) -> bytes:
    """A zip whose names are in `encoding`, as programs without Unicode write them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(UnflaggedName(name.encode(encoding).decode("cp437")), content)
    return file.getvalue()


def files_named(stem: str, encoding: str = "utf-8") -> dict[str, bytes]:
    """A scan whose OBJ, MTL, texture and material are all called `stem`, with texts in `encoding`."""
    obj = OBJ.decode().replace("a.mtl", f"{stem}.mtl").replace("Stone", stem)
    mtl = f"newmtl {stem}\nmap_Kd {stem}.png\n"
    return {f"{stem}.obj": obj.encode(encoding), f"{stem}.mtl": mtl.encode(encoding), f"{stem}.png": STONE}


def texture_of(content: bytes, folder: Path, name: str | None = None) -> bytes:
    """The colour texture of the material `name`, by default of the only one."""
    found = surfaces(content, folder)
    surface = found[name] if name is not None else next(iter(found.values()))
    assert surface.color_texture
    return surface.color_texture.texture.content


class TestEncodings:
    @pytest.mark.parametrize(
        ("stem", "text", "archive"),
        [
            ("Stück Größe", "utf-8", "utf-8"),
            ("Stück Größe", "latin-1", "cp850"),
            ("Stück Größe", "latin-1", "utf-8"),
            ("Stück Größe", "utf-8", "cp437"),
            ("置物", "cp932", "cp932"),
            ("置物", "utf-8", "cp932"),
            ("置物", "cp932", "utf-8"),
            ("ソ表", "cp932", "cp932"),  # whose last bytes are a backslash's
            ("Stück Größe", "utf-16", "utf-8"),
        ],
    )
    def test_finds_names_in_any_pair_of_encodings(self, tmp_path: Path, stem: str, text: str, archive: str) -> None:
        assert texture_of(in_zip_encoding(files_named(stem, text), archive), tmp_path) == STONE

    @pytest.mark.parametrize("in_text", ["NFC", "NFD"])
    @pytest.mark.parametrize("has_flag", [True, False])
    def test_finds_decomposed_names(self, tmp_path: Path, in_text: Literal["NFC", "NFD"], has_flag: bool) -> None:
        in_zip: Literal["NFC", "NFD"] = "NFD" if in_text == "NFC" else "NFC"
        files = files_named(unicodedata.normalize(in_text, "Stück Größe"))
        named = {unicodedata.normalize(in_zip, name): content for name, content in files.items()}
        assert texture_of(zipped(named) if has_flag else in_zip_encoding(named, "utf-8"), tmp_path) == STONE

    def test_material_names_are_readable(self, tmp_path: Path) -> None:
        assert list(surfaces(in_zip_encoding(files_named("置物", "cp932"), "cp932"), tmp_path)) == ["置物"]


class TestPaths:
    @pytest.mark.parametrize(
        "files",
        [
            {"scan/a.obj": OBJ, "scan/a.mtl": MTL, "scan/stone.jpg": STONE},
            {"a.obj": OBJ, "a.mtl": MTL, "textures/stone.jpg": STONE},
            {"A.OBJ": OBJ, "A.MTL": MTL, "Stone.JPG": STONE},
            {"JOB 7\\A.OBJ": OBJ, "JOB 7\\A.MTL": MTL, "JOB 7\\tex\\STONE.JPG": STONE},
            {"a.obj": OBJ, "a.mtl": MTL.replace(b"stone.jpg", b"C:\\scans\\7\\stone.jpg"), "stone.jpg": STONE},
            {"a.obj": OBJ, "a.mtl": MTL.replace(b"stone.jpg", b"/etc/../tmp/stone.jpg"), "stone.jpg": STONE},
            {"a.obj": OBJ, "a.mtl": MTL.replace(b"stone.jpg", b'"stone.jpg"'), "stone.jpg": STONE},
            {"a.obj": OBJ, "a.mtl": MTL, "stone.jpg": STONE, "__MACOSX/._a.obj": b"x", ".DS_Store": b"x"},
            {"a.obj": OBJ, "a.mtl": MTL, "stone.jpg": STONE, "x/.a.obj": b"x", "readme.txt": b"x"},
            {"a.obj": OBJ.replace(b"\n", b"\r\n"), "a.mtl": MTL.replace(b"\n", b"\r\n"), "stone.jpg": STONE},
            {"a.obj": OBJ.replace(b"mtllib a.mtl\n", b""), "a.mtl": MTL, "stone.jpg": STONE},
        ],
        ids=range(11),
    )
    def test_finds_files_where_people_put_them(self, tmp_path: Path, files: dict[str, bytes]) -> None:
        assert texture_of(zipped(files), tmp_path) == STONE

    @pytest.mark.parametrize("reference", [b"../b/stone.jpg", b"D:\\job\\b\\stone.jpg", b"..\\b\\stone.jpg"])
    def test_folders_decide_between_files_of_one_name(self, tmp_path: Path, reference: bytes) -> None:
        files = {"o/a.obj": OBJ, "o/a.mtl": MTL.replace(b"stone.jpg", reference)}
        assert texture_of(zipped(files | {"c/stone.jpg": OTHER, "b/stone.jpg": STONE}), tmp_path) == STONE

    def test_does_not_guess_between_files_of_one_name(self, tmp_path: Path) -> None:
        files = {"a.obj": OBJ, "a.mtl": MTL, "b/stone.jpg": STONE, "c/stone.jpg": OTHER}
        with pytest.raises(InvalidFormat, match=r"stone\.jpg"):
            surfaces(zipped(files), tmp_path)


class TestMaterials:
    @pytest.mark.parametrize(
        "mtl",
        [
            b"newmtl\tStone\n\tKd\t1 0 0\n\tmap_Kd\tstone.jpg\n",
            b"  newmtl Stone\n  map_Kd   stone.jpg  \n",
            b"NEWMTL Stone\nMAP_KD stone.jpg\n",
            b"newmtl  Stone \nmap_kd stone.jpg",
            b"\xef\xbb\xbfnewmtl Stone\rmap_Kd stone.jpg\r",
        ],
        ids=["tabs", "indented", "upper case", "spaces", "CR"],
    )
    def test_whitespace_and_case_of_keywords_do_not_matter(self, tmp_path: Path, mtl: bytes) -> None:
        assert texture_of(scan(mtl=mtl, jpg=STONE), tmp_path, "Stone") == STONE

    @pytest.mark.parametrize("usemtl", [b"", b"\tusemtl\tStone\n"])
    def test_needs_no_usemtl_for_an_only_material(self, tmp_path: Path, usemtl: bytes) -> None:
        assert texture_of(scan(obj=OBJ.replace(b"usemtl Stone\n", usemtl), jpg=STONE), tmp_path) == STONE

    def test_of_several_materials_none_is_chosen(self, tmp_path: Path) -> None:
        content = scan(obj=OBJ.replace(b"usemtl Stone\n", b""), mtl=MTL + b"newmtl Moss\n")
        (surface,) = surfaces(content, tmp_path).values()
        assert (surface.color, surface.color_texture) == ((1, 1, 1), None)

    @pytest.mark.parametrize(
        ("line", "names"),
        [
            ("mtllib one.mtl two.mtl", ["one.mtl", "two.mtl"]),
            ("mtllib one.mtl\nmtllib two.mtl", ["one.mtl", "two.mtl"]),
            ("mtllib\tC:\\my job\\one.mtl  C:\\my job\\two.mtl", ["one.mtl", "two.mtl"]),
            ("mtllib part one.mtl part two.mtl", ["part one.mtl", "part two.mtl"]),
            ("mtllib one two", ["one", "two"]),
            ("mtllib one.mtl two.mtl", ["one.mtl two.mtl"]),
            ("mtllib one.mtl missing.mtl two.mtl", ["one.mtl", "two.mtl"]),
        ],
    )
    def test_finds_several_files_on_one_line(self, tmp_path: Path, line: str, names: list[str]) -> None:
        obj = OBJ.replace(b"mtllib a.mtl", line.encode()) + b"usemtl Moss\nf 1/1 2/2 3/3\n"
        both = [b"newmtl Stone\nKd 1 0 0\n", b"newmtl Moss\nKd 0 1 0\n"]
        texts = both if len(names) == 2 else [b"".join(both)]
        found = surfaces(zipped({"a.obj": obj} | dict(zip(names, texts, strict=True))), tmp_path)
        assert {name: surface.color for name, surface in found.items()} == {"Stone": (1, 0, 0), "Moss": (0, 1, 0)}

    def test_kd_may_be_one_number(self, tmp_path: Path) -> None:
        assert surfaces(scan(mtl=b"newmtl Stone\nKd 0.5\n"), tmp_path)["Stone"].color == (0.5, 0.5, 0.5)


class TestMissing:
    def test_names_a_texture_that_a_face_needs(self, tmp_path: Path) -> None:
        mtl = MTL.replace(b"stone.jpg", b"-s 1 1 1 C:\\job\\my stone.jpg")
        with pytest.raises(InvalidFormat, match=r"'a\.mtl' references the texture .*my stone\.jpg', which"):
            surfaces(scan(mtl=mtl), tmp_path)

    def test_ignores_a_texture_that_no_face_needs(self, tmp_path: Path) -> None:
        mtl = MTL + b"newmtl Moss\nmap_Kd missing.jpg\n"
        assert texture_of(scan(mtl=mtl, jpg=STONE), tmp_path, "Stone") == STONE

    def test_ignores_textures_for_other_purposes(self, tmp_path: Path) -> None:
        assert texture_of(scan(mtl=MTL + b"map_Ka gone.jpg\nmap_d gone.jpg\n", jpg=STONE), tmp_path) == STONE

    def test_names_a_material_file_that_a_face_needs(self, tmp_path: Path) -> None:
        obj = OBJ.replace(b"mtllib a.mtl", b"mtllib a.mtl b.mtl").replace(b"Stone", b"Moss")
        with pytest.raises(InvalidFormat, match=r"the material file 'b\.mtl'"):
            surfaces(scan(obj=obj), tmp_path)

    def test_ignores_a_material_file_that_no_face_needs(self, tmp_path: Path) -> None:
        obj = OBJ.replace(b"mtllib a.mtl", b"mtllib a.mtl b.mtl") + b"usemtl Moss\n"
        assert texture_of(scan(obj=obj, jpg=STONE), tmp_path, "Stone") == STONE

    def test_needs_no_material_file_without_materials(self, tmp_path: Path) -> None:
        (surface,) = surfaces(scan(obj=OBJ.replace(b"usemtl Stone\n", b""), mtl=None, jpg=None), tmp_path).values()
        assert surface.color == (1, 1, 1)


class TestTextureReference:
    @pytest.mark.parametrize(
        ("line", "name"),
        [
            ("a b.jpg", "a b.jpg"),
            ("-s 1 1 1 a.jpg", "a.jpg"),
            ("-o 0.1 0.2 a.jpg", "a.jpg"),
            ("-o .1 a.jpg", "a.jpg"),
            ("-t 1e-3 -2. +3 a.jpg", "a.jpg"),
            ("-clamp on -o 0.5 -0.5 on.jpg", "on.jpg"),
            ("-clamp on -s 1.0 1.0 1.0 -mm 0 1 C:\\scan op\\Tex Maps\\Colour Map.jpg", "Colour Map.jpg"),
            ("-blendu off -blendv off -cc on -imfchan r -texres 512 -bm 0.5 -boost 2 a.jpg", "a.jpg"),
            ("-o 0.1 0.2 5 stone.jpg", "5 stone.jpg"),
            ("-s 2 2 1 stone.jpg", "1 stone.jpg"),
            ("-o 1 2 3 4 stone.jpg", "4 stone.jpg"),
            ("-unknown a.jpg", "-unknown a.jpg"),
            ("on\tstone.jpg", "on\tstone.jpg"),
        ],
    )
    def test_finds_the_name_behind_the_options(self, line: str, name: str) -> None:
        def find(reference: bytes) -> PurePosixPath | None:
            return PurePosixPath(name) if reference.decode().split("\\")[-1] == name else None

        found = wavefront.texture_reference(line.encode(), find)
        assert found
        assert found.path == PurePosixPath(name)

    def test_reads_scale_and_offset(self) -> None:
        found = wavefront.texture_reference(b"-o 0.1 0.2 0.3 -s 2 a.jpg", lambda name: PurePosixPath(name.decode()))
        assert found == wavefront.TextureReference(PurePosixPath("a.jpg"), scale=(2, 1), offset=(0.1, 0.2))
