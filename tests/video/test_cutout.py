"""Compositing without a background: over a colour, the cut-out looks like a frame composited on that colour."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from farm.scene import edges
from farm.scene.shot import Frame
from farm.video.cutout import MIN_ALPHA, OPAQUE, Cutout, composite_over, extend_colours
from farm.video.layers import DeepPixels
from tests.video.frames import CLEAR, HEIGHT, STEEP, WIDTH, all_dark, frame, mirrored, shadow_map

DEEP_CLEAR = np.zeros((1, 1, 4), dtype=np.uint16)
# Mostly the ends of the range, where transparent and opaque pixels are special cases.
SAMPLES = arrays.arrays(np.uint16, (5, 4, 4), elements=st.sampled_from([0, 1, 300, 32768, 65534, OPAQUE]))


def cut_out(drawn: Frame, vignette: float = 0) -> DeepPixels:
    return Cutout(WIDTH, HEIGHT, vignette).of(drawn)


def over(pixels: DeepPixels, colour: float) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Composite straight alpha over a grey in [0, 1], as an editor does."""
    alpha = pixels[..., 3:] / OPAQUE
    return np.asarray(pixels[..., :3] / OPAQUE * alpha + colour * (1 - alpha))


class TestCompositeOver:
    @settings(deadline=None)
    @given(SAMPLES, SAMPLES, st.sampled_from([0.0, 0.4, 1.0]))
    def test_matches_compositing_one_after_the_other(self, below: DeepPixels, above: DeepPixels, colour: float) -> None:
        alpha = above[..., 3:] / OPAQUE
        expected = above[..., :3] / OPAQUE * alpha + over(below, colour) * (1 - alpha)
        both = below.copy()
        composite_over(both, above)
        assert np.abs(over(both, colour) - expected).max() < 2 / OPAQUE

    @settings(deadline=None)
    @given(SAMPLES)
    def test_copies_over_transparent_and_from_opaque_pixels(self, above: DeepPixels) -> None:
        nothing = np.zeros_like(above)
        composite_over(nothing, above)
        assert (nothing == np.where(above[..., 3:] > 0, above, 0)).all(), "colours at zero alpha are irrelevant"
        whole, anything = above.copy(), np.full_like(above, 777)
        whole[..., 3] = OPAQUE
        composite_over(anything, whole)
        assert (anything == whole).all()


class TestFrame:
    def test_is_transparent_without_content(self, tmp_path: Path) -> None:
        assert (cut_out(frame(tmp_path, DEEP_CLEAR)) == 0).all()

    def test_contains_the_subjects_samples_unchanged(self, tmp_path: Path) -> None:
        subject = np.random.default_rng(1).integers(0, 65536, (9, 8, 4)).astype(np.uint16)
        subject[..., 3] |= 0x8000
        pixels = cut_out(frame(tmp_path, subject, at=(10, 20)))
        assert (pixels[20:29, 10:18] == subject).all()
        assert pixels[..., 3].sum() == subject[..., 3].sum(dtype=np.uint64)

    def test_accepts_8_bit_layers(self, tmp_path: Path) -> None:
        pixels = cut_out(frame(tmp_path, np.full((2, 2, 4), (255, 128, 0, 255), dtype=np.uint8)))
        assert pixels[0, 0].tolist() == [OPAQUE, 128 * 257, 0, OPAQUE]

    def test_contains_the_shadow_as_black_with_its_opacity(self, tmp_path: Path) -> None:
        soft = shadow_map(tmp_path, np.full((64, 64), 0.25, dtype=np.float32), extent=20.0)
        pixels = cut_out(frame(tmp_path, DEEP_CLEAR, STEEP, shadow=soft))
        assert (pixels[..., :3] == 0).all()
        opacity = 0.25 * edges.fade(0, 0, WIDTH, HEIGHT, WIDTH, HEIGHT)
        assert np.abs(pixels[..., 3] / OPAQUE - opacity).max() < 1e-3

    def test_is_subject_over_mirror_image_over_shadow(self, tmp_path: Path) -> None:
        subject = np.full((4, 4, 4), (9000, 8000, 7000, OPAQUE), dtype=np.uint16)
        mirror = np.full((8, 4, 4), (60000, 50000, 40000, 13107), dtype=np.uint16)
        drawn = frame(tmp_path, subject, STEEP, at=(40, 24), shadow=all_dark(tmp_path))
        pixels = cut_out(mirrored(drawn, tmp_path, mirror, (40, 24)))
        assert (pixels[24:28, 40:44] == (9000, 8000, 7000, OPAQUE)).all()
        assert (pixels[28:32, 40:44] == (12000, 10000, 8000, OPAQUE)).all()
        assert (pixels[33, 40] == (0, 0, 0, OPAQUE)).all()

    def test_clears_the_previous_frame(self, tmp_path: Path) -> None:
        cutout = Cutout(WIDTH, HEIGHT, 0)
        subject = np.full((9, 9, 4), 40000, dtype=np.uint16)
        cutout.of(frame(tmp_path, subject, STEEP, at=(30, 20), shadow=all_dark(tmp_path)))
        assert (cutout.of(frame(tmp_path, DEEP_CLEAR)) == 0).all()

    @pytest.mark.parametrize(("width", "height"), [(96, 54), (50, 38), (2, 2)])
    def test_supports_any_size(self, tmp_path: Path, width: int, height: int) -> None:
        subject = np.full((height, width, 4), OPAQUE, dtype=np.uint16)
        subject[0, 0, 3] = 0
        pixels = Cutout(width, height, 0).of(frame(tmp_path, subject))
        assert pixels.shape == (height, width, 4)
        assert (pixels[..., :3] == OPAQUE).all()

    def test_has_the_foreground_over_subject_and_nothing(self, tmp_path: Path) -> None:
        above = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
        above.paste((255, 0, 0, 128), (0, 0, 30, 20))
        cutout = Cutout(WIDTH, HEIGHT, 1.0, above)
        subject = np.full((4, 4, 4), (0, 0, OPAQUE, OPAQUE), dtype=np.uint16)
        for x in (40, 10):  # a frame without an overlap, then one with it
            pixels = cutout.of(frame(tmp_path, subject, at=(x, 8)))
            assert (pixels[2:6, 2:6] == (OPAQUE, 0, 0, 128 * 257)).all(), "its own alpha, no vignette"
            assert (pixels[30:, :, 3] == 0).all()
        mixed = pixels[9, 11].astype(int)
        assert mixed[3] == OPAQUE
        assert abs(mixed[0] - 128 * 257) <= 2

    def test_darkens_colours_but_not_alpha_by_a_vignette(self, tmp_path: Path) -> None:
        subject = np.full((HEIGHT, WIDTH, 4), 50000, dtype=np.uint16)
        pixels = cut_out(frame(tmp_path, subject), vignette=1.0)
        assert (pixels[..., 3] == 50000).all()
        assert pixels[0, 0, :3].max() < 1000
        assert pixels[HEIGHT // 2, WIDTH // 2].min() > 49900


class TestExtendColours:
    @pytest.fixture
    def disc(self) -> DeepPixels:
        y, x = np.indices((64, 96))
        pixels = np.zeros((64, 96, 4), dtype=np.uint16)
        pixels[..., 3] = np.clip(20.5 - np.hypot(x - 47.5, y - 31.5), 0, 1) * OPAQUE
        pixels[pixels[..., 3] > 0, :3] = (60000, 20000, 10000)
        return pixels

    def test_extends_the_subjects_colour_by_a_block(self, disc: DeepPixels) -> None:
        y, x = np.indices(disc.shape[:2])
        near = np.hypot(x - 47.5, y - 31.5) < 20 + 8
        extend_colours(disc)
        assert np.abs(disc[near, :3].astype(int) - (60000, 20000, 10000)).max() <= 1

    def test_leaves_visible_pixels_unchanged(self, disc: DeepPixels) -> None:
        before = disc.copy()
        extend_colours(disc)
        seen = before[..., 3] >= MIN_ALPHA
        assert (disc[seen] == before[seen]).all()
        assert (disc[~seen, 3] == 0).all()

    def test_extends_to_the_next_block_from_an_edge_on_its_border(self) -> None:
        pixels = np.zeros((32, 32, 4), dtype=np.uint16)
        pixels[8:16, 8:16] = (500, 600, 700, OPAQUE)
        extend_colours(pixels)
        assert (pixels[0:24, 0:24, :3] == (500, 600, 700)).all()
        assert (pixels[24:, 24:] == 0).all()

    def test_uses_the_colour_of_the_nearer_side(self) -> None:
        pixels = np.zeros((16, 48, 4), dtype=np.uint16)
        pixels[:, 20:24] = (60000, 0, 0, OPAQUE)
        pixels[:, 24:28] = (0, 0, 60000, OPAQUE)
        extend_colours(pixels)
        assert (pixels[:, 8:20, :3] == (60000, 0, 0)).all()
        assert (pixels[:, 28:40, :3] == (0, 0, 60000)).all()

    @settings(deadline=None)
    @given(arrays.arrays(np.uint16, (16, 24, 4), elements=st.sampled_from([0, 5, 40, 65535]), fill=st.just(0)))
    def test_stays_within_the_range_of_visible_colours(self, pixels: DeepPixels) -> None:
        before = pixels.copy()
        extend_colours(pixels)
        seen = before[..., 3] >= MIN_ALPHA
        assert (pixels[~seen, :3] <= (before[seen, :3].max(axis=0) if seen.any() else 0)).all()


def test_keeps_an_empty_8_bit_frame_transparent(tmp_path: Path) -> None:
    assert (cut_out(frame(tmp_path, CLEAR)) == 0).all()
