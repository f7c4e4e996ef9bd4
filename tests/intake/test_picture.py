"""Images of overlays are decoded and re-encoded in a child process."""

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from farm.errors import InvalidFormat
from farm.intake import confined_process
from farm.intake.picture import MAX_STORED_PIXELS, MAX_STORED_SIDE_PIXELS
from farm.video.backgrounds import OverlayPicture, cover


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(width: int, height: int) -> Image.Image:
    """Smooth shapes under noise, as cameras record them."""
    random = np.random.default_rng(1)
    shapes = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8))
    smooth = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC))
    return Image.fromarray((smooth + random.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8))


def translucent(width: int, height: int) -> Image.Image:
    """A photo that is transparent on the left and opaque on the right."""
    picture = photo(width, height)
    picture.putalpha(Image.linear_gradient("L").rotate(90).resize((width, height)))
    return picture


def gradient(width: int, height: int) -> Image.Image:
    """A picture that a PNG, but not the fastest WebP, holds in few bytes."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=-1).astype(np.uint8))


def reencode(content: bytes, folder: Path) -> tuple[Image.Image, dict[str, Any], bytes]:
    source, target = folder / "source", folder / "target"
    source.write_bytes(content)
    with target.open("wb") as file:
        facts = asyncio.run(
            confined_process.run("farm.intake.picture", source, file, timeout_seconds=30, memory_mb=2048)
        )
    return Image.open(target), facts, target.read_bytes()


class TestReencode:
    @pytest.mark.parametrize(("kind", "kept_as"), [("PNG", "WEBP"), ("JPEG", "JPEG"), ("WEBP", "WEBP")])
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

    @pytest.mark.parametrize(
        "picture", [photo(64, 48), translucent(64, 48), gradient(800, 600)], ids=["opaque", "translucent", "gradient"]
    )
    def test_composites_a_png_to_the_same_pixels(self, tmp_path: Path, picture: Image.Image) -> None:
        png = tmp_path / "sent.png"
        picture.save(png)
        reencode(png.read_bytes(), tmp_path)
        sent, stored = (
            np.asarray(cover(OverlayPicture(path, "center"), (200, 100, 50), 90, 160))
            for path in (png, tmp_path / "target")
        )
        assert (sent == stored).all()

    @pytest.mark.parametrize(
        ("picture", "kind", "options"),
        [
            (photo(800, 600), "JPEG", {"quality": 20}),
            (photo(800, 600), "JPEG", {"quality": 95, "subsampling": 0}),
            (photo(800, 600).convert("L"), "JPEG", {"quality": 60}),
            (photo(800, 600).convert("CMYK"), "JPEG", {"quality": 60}),
            (photo(800, 600), "WEBP", {"quality": 75}),
            (translucent(800, 600), "WEBP", {"quality": 75}),
            (photo(800, 600), "PNG", {}),
            (translucent(800, 600), "PNG", {}),
            (gradient(800, 600), "PNG", {}),
        ],
    )
    def test_stores_at_most_twice_the_bytes_sent(
        self, tmp_path: Path, picture: Image.Image, kind: str, options: dict[str, Any]
    ) -> None:
        sent = encoded(picture, kind, **options)
        _, _, stored = reencode(sent, tmp_path)
        assert len(stored) < 2 * len(sent)

    def test_keeps_the_tables_of_a_jpeg_under_any_number(self, tmp_path: Path) -> None:
        sent = encoded(photo(80, 60), "JPEG", qtables=[[9] * 64])
        renumbered = sent.replace(b"\xff\xdb\x00\x43\x00", b"\xff\xdb\x00\x43\x03")
        # In the frame header (SOF0): the table of each of the three components.
        start = renumbered.index(b"\xff\xc0") + 10
        header = bytearray(renumbered)
        header[start + 2 : start + 9 : 3] = b"\x03\x03\x03"
        image, _, _ = reencode(bytes(header), tmp_path)
        assert getattr(image, "quantization", None) == {0: [9] * 64}

    @pytest.mark.parametrize(
        ("size", "kind"), [((6000, 4000), "JPEG"), ((4000, 6000), "PNG"), ((40_000, 300), "PNG"), ((1, 40_000), "PNG")]
    )
    def test_scales_down_to_the_pixels_that_videos_need(self, tmp_path: Path, size: tuple[int, int], kind: str) -> None:
        image, facts, _ = reencode(encoded(Image.new("RGB", size), kind), tmp_path)
        assert image.size == (facts["width"], facts["height"])
        assert image.width * image.height <= MAX_STORED_PIXELS
        assert max(image.size) <= MAX_STORED_SIDE_PIXELS
        assert image.width / image.height == pytest.approx(size[0] / size[1], rel=0.01) or min(image.size) == 1

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
