"""A vignette darkens smoothly towards the corners, without bands, and leaves alpha alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.video.layers import Box, Pixels
from farm.video.vignette import ONE, Vignette, dither

WIDTH, HEIGHT = 192, 108
WHOLE = Box(0, 0, WIDTH, HEIGHT)


def grey(value: int, width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    return np.full((height, width, 3), value, dtype=np.uint8)


def darkened(value: int, intensity: float) -> Pixels:
    picture = grey(value)
    Vignette(WIDTH, HEIGHT, intensity).darken(picture, WHOLE)
    return picture


class TestIntensity:
    def test_is_black_in_the_corners_at_intensity_1(self) -> None:
        picture = darkened(255, 1)
        assert picture[[0, 0, -1, -1], [0, -1, 0, -1]].max() <= 1
        assert picture[HEIGHT // 2, WIDTH // 2].min() >= 254

    def test_changes_no_value_at_intensity_0(self) -> None:
        every = np.arange(256, dtype=np.uint8).repeat(3 * 54).reshape(54, 256, 3)
        picture = every.copy()
        Vignette(256, 54, 0).darken(picture, Box(0, 0, 256, 54))
        assert (picture == every).all()

    @settings(deadline=None)
    @given(st.floats(0, 1), st.floats(0, 1))
    def test_darkens_more_at_higher_intensity(self, one: float, other: float) -> None:
        low, high = sorted([one, other])
        assert (darkened(200, high) <= darkened(200, low)).all()

    def test_is_the_share_removed_in_the_corners(self) -> None:
        assert darkened(200, 0.5)[0, 0] == pytest.approx(100, abs=2)


class TestShape:
    def test_is_symmetric(self) -> None:
        deep = np.full((HEIGHT, WIDTH, 4), 60000, dtype=np.uint16)
        Vignette(WIDTH, HEIGHT, 0.8).darken_deep(deep, WHOLE)
        assert (deep == deep[::-1]).all()
        assert (deep == deep[:, ::-1]).all()

    def test_has_no_step(self) -> None:
        deep = np.full((1080, 1920, 4), 65535, dtype=np.uint16)
        Vignette(1920, 1080, 1).darken_deep(deep, Box(0, 0, 1920, 1080))
        for axis in (0, 1):
            assert np.abs(np.diff(deep[..., 0].astype(int), axis=axis)).max() < 65535 / 255

    def test_is_the_same_computed_in_parts(self) -> None:
        box = Box(17, 5, 150, 93)
        part = grey(177, *box.size)
        Vignette(WIDTH, HEIGHT, 0.9).darken(part, box)
        assert (part == darkened(177, 0.9)[box.slices]).all()


class TestBands:
    def test_are_dithered_away(self) -> None:
        """Averaged over a few pixels the dithered picture follows the exact curve far closer than whole steps do."""
        vignette, width, height = Vignette(960, 540, 0.3), 960, 540
        picture, exact = grey(90, width, height), np.full((height, width, 4), 90 * 256, dtype=np.uint16)
        vignette.darken(picture, Box(0, 0, width, height))
        vignette.darken_deep(exact, Box(0, 0, width, height))

        def blocks(
            samples: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
        ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
            return np.asarray(samples.reshape(height // 6, 6, width // 6, 6).mean(axis=(1, 3)))

        truth = exact[..., 0] / 256
        dithered = np.abs(blocks(picture[..., 0].astype(float)) - blocks(truth)).mean()
        banded = np.abs(blocks(np.rint(truth)) - blocks(truth)).mean()
        assert dithered < banded / 4

    def test_uses_evenly_spread_noise(self) -> None:
        noise = dither(256, 256) / ONE
        assert noise.min() >= 0
        assert noise.max() < 1
        assert noise.mean() == pytest.approx(0.5, abs=0.01)


class TestDeep:
    def test_leaves_alpha_alone(self) -> None:
        deep = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 4)).astype(np.uint16)
        before = deep.copy()
        Vignette(WIDTH, HEIGHT, 1).darken_deep(deep, WHOLE)
        assert (deep[..., 3] == before[..., 3]).all()
        assert (deep[..., :3] <= before[..., :3]).all()
