"""Textures of scans come out as glTF has them: unchanged, or as PNG with the same colours."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from farm.errors import InvalidFormat
from farm.intake.texture import texture
from tests.intake.scans import converted, saved, scan, surfaces, zipped

pytestmark = pytest.mark.slow

RED, SIZE = (200, 40, 30), (4, 4)


def deep_png(pixel: tuple[int, ...]) -> bytes:
    """A PNG of one pixel with 16 bits per channel, which PIL cannot write in colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 1, 1, 16, {1: 0, 3: 2, 4: 6}[len(pixel)], 0, 0, 0)
    row = b"\0" + struct.pack(f">{len(pixel)}H", *pixel)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


def pixels(content: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


class TestTexture:
    @pytest.mark.parametrize("mode", ["RGB", "L"])
    @pytest.mark.parametrize("kind", ["JPEG", "PNG"])
    def test_keeps_8_bit_images_byte_for_byte(self, kind: str, mode: str) -> None:
        content = saved(Image.new("RGB", SIZE, RED).convert(mode), kind)
        found = texture(content, "a")
        assert (found.content, found.mime_type) == (content, f"image/{kind.lower()}")

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1"])
    def test_keeps_other_8_bit_pngs_byte_for_byte(self, mode: str) -> None:
        content = saved(Image.new("RGB", SIZE, RED).convert(mode), "PNG")
        assert texture(content, "a").content == content

    @pytest.mark.parametrize("kind", ["BMP", "TGA", "TIFF"])
    def test_other_formats_become_png_with_the_same_pixels(self, kind: str) -> None:
        found = texture(saved(Image.new("RGB", SIZE, RED), kind), "a")
        assert found.mime_type == "image/png"
        assert (pixels(found.content) == RED).all()

    @pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
    def test_cmyk_becomes_rgb(self, kind: str) -> None:
        found = texture(saved(Image.new("CMYK", SIZE, (0, 255, 255, 0)), kind), "a")
        assert found.mime_type == "image/png"
        assert pixels(found.content).astype(int) == pytest.approx(np.tile([255, 0, 0], (*SIZE, 1)), abs=4)

    @pytest.mark.parametrize(
        ("pixel", "color"),
        [
            ((51400, 10280, 7710), [200, 40, 30]),
            ((51400,), [200, 200, 200]),
            ((51400, 10280, 7710, 65535), [200, 40, 30, 255]),
        ],
    )
    def test_16_bits_become_8(self, pixel: tuple[int, ...], color: list[int]) -> None:
        found = texture(deep_png(pixel), "a")
        assert found.content[24] == 8
        assert pixels(found.content)[0, 0].tolist() == color

    def test_does_not_clip_a_deep_grey_tiff_to_white(self) -> None:
        content = saved(Image.fromarray(np.full(SIZE, 25700, np.uint16)), "TIFF")
        assert pixels(texture(content, "a").content)[0, 0].tolist() == [100, 100, 100]

    def test_refuses_a_truncated_image(self) -> None:
        content = saved(Image.effect_noise((64, 64), 50), "TIFF")
        with pytest.raises(InvalidFormat, match=r"'a\.tif' is not a readable JPG, PNG, TIFF, BMP or TGA"):
            texture(content[:1000], "a.tif")


class TestGlb:
    def test_states_the_type_of_a_converted_texture(self, tmp_path: Path) -> None:
        found = converted(scan(jpg=saved(Image.new("RGB", SIZE, RED), "BMP")), tmp_path)
        assert found.document["images"][0]["mimeType"] == "image/png"
        assert (pixels(found.image()) == RED).all()

    def test_stores_an_image_of_two_materials_once(self, tmp_path: Path) -> None:
        mtl = b"newmtl Stone\nmap_Kd stone.jpg\nnewmtl Moss\nKd 0 1 0\nmap_Kd stone.jpg\n"
        obj = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nusemtl Stone\nf 1 2 3\nusemtl Moss\nf 4 3 2\n"
        found = converted(scan(obj=obj, mtl=mtl), tmp_path)
        assert (len(found.document["materials"]), len(found.document["images"])) == (2, 1)

    def test_scale_and_offset_are_kept(self, tmp_path: Path) -> None:
        found = converted(scan(mtl=b"newmtl Stone\nmap_Kd -s 2 4 -o 0.1 0.2 stone.jpg\n"), tmp_path)
        info = found.material["pbrMetallicRoughness"]["baseColorTexture"]
        transform = info["extensions"]["KHR_texture_transform"]
        assert found.document["extensionsUsed"] == ["KHR_texture_transform"]
        # OBJ's (u, v) = (0.5, 0.25) is at (2 * 0.5 + 0.1, 4 * 0.25 + 0.2) = (1.1, 1.2), which is glTF's (1.1, 1 - 1.2).
        at = np.array([0.5, 1 - 0.25]) * transform["scale"] + transform["offset"]
        assert at == pytest.approx([1.1, -0.2])


class TestPbrExtensions:
    def test_numbers_replace_the_matte_surface(self, tmp_path: Path) -> None:
        surface = surfaces(scan(mtl=b"newmtl Stone\nPr 0.25\nPm 1\n"), tmp_path)["Stone"]
        assert (surface.roughness, surface.metallic) == (0.25, 1)

    def test_textures_become_one_with_roughness_and_metal(self, tmp_path: Path) -> None:
        mtl = b"newmtl Stone\nPr 0.1\nmap_Pr rough.png\nmap_Pm metal.png\nnorm normal.png\n"
        files = {"rough.png": Image.new("L", (2, 2), 90), "metal.png": Image.new("L", (4, 4), 160)}
        files["normal.png"] = Image.new("RGB", (2, 2), (128, 128, 255))
        pictures = {name: saved(image, "PNG") for name, image in files.items()}
        obj = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl Stone\nf 1/1 2/2 3/3\n"
        found = converted(zipped({"a.obj": obj, "a.mtl": mtl} | pictures), tmp_path)
        shading = found.material["pbrMetallicRoughness"]
        assert (shading["roughnessFactor"], shading["metallicFactor"]) == (1, 1)
        combined = found.document["textures"][shading["metallicRoughnessTexture"]["index"]]["source"]
        assert pixels(found.image(combined))[..., 1:].reshape(-1, 2).tolist() == [[90, 160]] * 16
        normal = found.document["textures"][found.material["normalTexture"]["index"]]["source"]
        assert found.image(normal) == pictures["normal.png"]
