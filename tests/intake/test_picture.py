"""Images of overlays are decoded and re-encoded in a child process."""

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from farm.errors import InvalidFormat
from farm.intake import sandbox


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def reencode(content: bytes, folder: Path) -> tuple[Image.Image, dict[str, Any], bytes]:
    source, target = folder / "source", folder / "target"
    source.write_bytes(content)
    with target.open("wb") as file:
        facts = asyncio.run(sandbox.run("farm.intake.picture", source, file, timeout_seconds=30, memory_mb=2048))
    return Image.open(target), facts, target.read_bytes()


class TestReencode:
    @pytest.mark.parametrize(("kind", "kept_as"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("WEBP", "PNG")])
    def test_keeps_the_visible_pixels(self, tmp_path: Path, kind: str, kept_as: str) -> None:
        image, facts, _ = reencode(encoded(Image.new("RGB", (30, 20), (200, 100, 50)), kind), tmp_path)
        assert (image.format, image.size) == (kept_as, (30, 20))
        assert facts == {"content_type": f"image/{kept_as.lower()}", "width": 30, "height": 20}
        pixel = image.convert("RGB").getpixel((5, 5))
        assert isinstance(pixel, tuple)
        assert all(abs(a - b) < 6 for a, b in zip(pixel, (200, 100, 50), strict=True))

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
    def test_accepts_every_mode_of_png(self, tmp_path: Path, mode: str) -> None:
        image, _, _ = reencode(encoded(Image.new(mode, (4, 4)), "PNG"), tmp_path)
        assert image.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")

    def test_scales_16_bits_instead_of_clipping(self, tmp_path: Path) -> None:
        image, _, _ = reencode(encoded(Image.new("I;16", (4, 4), 32768), "PNG"), tmp_path)
        assert image.getpixel((0, 0)) in [(127,) * 3, (128,) * 3]

    def test_keeps_transparency(self, tmp_path: Path) -> None:
        for kind in ("PNG", "WEBP"):
            image, _, _ = reencode(encoded(Image.new("RGBA", (4, 4), (9, 9, 9, 77)), kind, lossless=True), tmp_path)
            assert image.getpixel((0, 0)) == (9, 9, 9, 77)

    def test_rotates_upright_and_removes_metadata(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = 6, "home address"
        image, facts, content = reencode(encoded(Image.new("RGB", (30, 20)), "JPEG", exif=exif), tmp_path)
        assert image.size == (facts["width"], facts["height"]) == (20, 30)
        assert not image.getexif()
        assert b"home address" not in content

    def test_removes_text_from_a_png(self, tmp_path: Path) -> None:
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", "home address")
        _, _, content = reencode(encoded(Image.new("RGB", (4, 4)), "PNG", pnginfo=text), tmp_path)
        assert b"home address" not in content

    def test_applies_and_removes_a_colour_profile(self, tmp_path: Path) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
        for icc_profile in (profile, b"broken"):
            image, _, _ = reencode(encoded(Image.new("RGB", (4, 4)), "PNG", icc_profile=icc_profile), tmp_path)
            assert "icc_profile" not in image.info

    @pytest.mark.parametrize("mode", ["CMYK", "L"])
    def test_converts_other_jpegs_to_rgb(self, tmp_path: Path, mode: str) -> None:
        image, _, _ = reencode(encoded(Image.new(mode, (8, 8)), "JPEG"), tmp_path)
        assert image.mode == "RGB"

    @pytest.mark.parametrize("kind", ["WEBP", "PNG"])
    def test_keeps_the_first_frame_of_an_animation(self, tmp_path: Path, kind: str) -> None:
        frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
        options = {"lossless": True} if kind == "WEBP" else {}
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        image, _, _ = reencode(content, tmp_path)
        assert getattr(image, "n_frames", 1) == 1
        assert image.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


class TestRefused:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"<svg/>",
            encoded(Image.new("RGB", (4, 4)), "GIF"),
            encoded(Image.new("RGB", (4, 4)), "BMP"),
            encoded(Image.effect_noise((64, 64), 50), "PNG")[:900],
        ],
        ids=["empty", "svg", "gif", "bmp", "cut off"],
    )
    def test_refuses_a_file_of_another_format(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(InvalidFormat, match="PNG, JPEG or WebP"):
            reencode(content, tmp_path)

    def test_refuses_a_decompression_bomb(self, tmp_path: Path) -> None:
        bomb = encoded(Image.new("1", (20_000, 20_000)), "PNG")
        assert len(bomb) < 100_000
        with pytest.raises(InvalidFormat, match="20000x20000 pixels"):
            reencode(bomb, tmp_path)
