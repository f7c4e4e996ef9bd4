"""A background picture covers the frame without distortion and keeps its anchor visible."""

import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from farm.errors import RenderFailed
from farm.orders.render_settings import Anchor
from farm.video import backgrounds
from farm.video.backgrounds import OverlayPicture, cover, crop

SIDES = st.integers(1, 5000)
ANCHORS: tuple[Anchor, ...] = get_args(Anchor)
WHITE = (255, 255, 255)


def saved(folder: Path, picture: Image.Image) -> Path:
    picture.save(folder / "picture.png")
    return folder / "picture.png"


class TestCrop:
    @given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(ANCHORS))
    def test_is_the_largest_box_of_the_frames_shape(
        self, picture_width: int, picture_height: int, width: int, height: int, anchor: Anchor
    ) -> None:
        left, top, right, bottom = crop(picture_width, picture_height, width, height, anchor)
        assert 0 <= left < right <= picture_width
        assert 0 <= top < bottom <= picture_height
        assert math.isclose((right - left) * height, (bottom - top) * width, rel_tol=1e-9), "no distortion"
        assert math.isclose(right - left, picture_width) or math.isclose(bottom - top, picture_height)

    @given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(ANCHORS))
    def test_touches_the_sides_that_the_anchor_names(
        self, picture_width: int, picture_height: int, width: int, height: int, anchor: Anchor
    ) -> None:
        left, top, right, bottom = crop(picture_width, picture_height, width, height, anchor)
        near = {
            "left": left,
            "right": picture_width - right,
            "top": top,
            "bottom": picture_height - bottom,
        }
        for side in anchor.split("-"):
            if side != "center":
                assert near[side] == pytest.approx(0, abs=1e-6)
        across, down = anchor.split("-")[-1], anchor.split("-")[0]
        if across == "center":
            assert near["left"] == pytest.approx(near["right"], abs=1e-6)
        if down == "center":
            assert near["top"] == pytest.approx(near["bottom"], abs=1e-6)


class TestCover:
    @pytest.mark.parametrize("anchor", ANCHORS)
    @pytest.mark.parametrize("size", [(90, 30), (30, 90)])
    def test_shows_the_anchored_third_of_a_picture_of_three(
        self, tmp_path: Path, size: tuple[int, int], anchor: Anchor
    ) -> None:
        thirds = np.zeros((size[1], size[0], 3), dtype=np.uint8)
        rows, columns = np.indices(thirds.shape[:2])
        thirds[..., 0] = (rows // 30 if size[1] > size[0] else columns // 30) * 100
        path = saved(tmp_path, Image.fromarray(thirds))
        seen = np.asarray(cover(OverlayPicture(path, anchor), WHITE, 60, 60))
        word = anchor.split("-")[0] if size[1] > size[0] else anchor.split("-")[-1]
        third = {"left": 0, "top": 0, "center": 1, "right": 2, "bottom": 2}[word]
        assert (seen[20:40, 20:40, 0] == third * 100).all()

    def test_keeps_a_picture_of_the_frames_size_unchanged(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(1).integers(0, 256, (54, 96, 3)).astype(np.uint8)
        path = saved(tmp_path, Image.fromarray(pixels))
        assert (np.asarray(cover(OverlayPicture(path, "center"), WHITE, 96, 54)) == pixels).all()

    def test_keeps_a_circle_round(self, tmp_path: Path) -> None:
        x, y = np.meshgrid(np.arange(400), np.arange(300))
        disc = np.where(np.hypot(x - 199.5, y - 149.5) < 60, 0, 255).astype(np.uint8)
        path = saved(tmp_path, Image.fromarray(disc))
        for width, height in ((960, 540), (540, 960), (540, 540)):
            dark = np.argwhere(np.asarray(cover(OverlayPicture(path, "center"), WHITE, width, height))[..., 0] < 128)
            tall, wide = np.ptp(dark, axis=0) + 1
            assert abs(tall - wide) <= 2

    def test_shows_the_colour_through_a_transparent_picture(self, tmp_path: Path) -> None:
        half = Image.new("RGBA", (10, 10), (0, 0, 0, 51))
        seen = np.asarray(cover(OverlayPicture(saved(tmp_path, half), "center"), (200, 100, 50), 20, 20))
        assert (seen == (160, 80, 40)).all()

    def test_applies_the_exif_orientation(self, tmp_path: Path) -> None:
        photo = Image.new("RGB", (40, 20), (255, 0, 0))
        photo.paste((0, 0, 255), (0, 0, 20, 20))
        exif = photo.getexif()
        exif[0x0112] = 6  # to be rotated clockwise: its left side is the top
        path = tmp_path / "photo.jpg"
        photo.save(path, exif=exif, quality=95)
        seen = np.asarray(cover(OverlayPicture(path, "center"), WHITE, 20, 40)).astype(int)
        assert (seen[5, :, 2] > 200).all()
        assert (seen[35, :, 0] > 200).all()

    @pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
    def test_refuses_an_unreadable_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "broken.png"
        path.write_bytes(content)
        with pytest.raises(RenderFailed, match="background picture"):
            cover(OverlayPicture(path, "center"), WHITE, 20, 20)


def test_fills_a_plain_background_with_the_colour() -> None:
    assert (np.asarray(backgrounds.plain((1, 2, 3), 8, 6)) == (1, 2, 3)).all()
