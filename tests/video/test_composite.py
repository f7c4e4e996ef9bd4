"""Compositing promises an exact background, exact blending, and a shadow that lies where the ground is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from farm.blender.camera import Lens, view
from farm.shot import Frame, Layer, ShadowMap
from farm.video.composite import Compositor, Pixels, covered, lay_over, map_to_ground, shade

WIDTH, HEIGHT = 96, 54
LENS = Lens(focal_length=85, elevation=12, margin=1.12, target=0.8, width=WIDTH, height=HEIGHT)
STEEP = Lens(focal_length=85, elevation=60, margin=1.12, target=0.3, width=WIDTH, height=HEIGHT)
BACKGROUND = (200, 100, 50)
CLEAR = np.zeros((1, 1, 4), dtype=np.uint8)


def frame(
    folder: Path, pixels: Pixels, lens: Lens = LENS, *, at: tuple[int, int] = (0, 0), azimuth: float = 0
) -> Frame:
    """A frame as the Blender host hands it over, holding these RGBA pixels."""
    path = folder / "frame.rgba"
    pixels.tofile(path)
    ground = tuple(view(lens, azimuth, 1.0).ground_to_pixel.ravel().tolist())
    height, width, _ = pixels.shape
    layer = Layer(str(path), at[0], at[1], width, height)
    return Frame(0, 8, layer, reflection=None, shadow=None, ground_to_pixel=ground)


def shadow(folder: Path, opacity: NDArray[np.float32], extent: float = 2.0) -> ShadowMap:
    path = folder / "shadow.npy"
    np.save(path, opacity)
    return ShadowMap(str(path), opacity.shape[0], extent)


def composite(picture: Frame, shadow: ShadowMap | None = None) -> Pixels:
    return Compositor(WIDTH, HEIGHT, BACKGROUND).over(replace(picture, shadow=shadow))


class TestBackground:
    def test_is_exact_where_nothing_covers_it(self, tmp_path: Path) -> None:
        empty = shadow(tmp_path, np.zeros((64, 64), dtype=np.float32))
        for thrown in (None, empty):
            assert (composite(frame(tmp_path, CLEAR), thrown) == BACKGROUND).all()

    def test_is_untouched_outside_the_subject(self, tmp_path: Path) -> None:
        subject = np.full((5, 7, 4), 255, dtype=np.uint8)
        picture = composite(frame(tmp_path, subject, at=(10, 20)))
        assert (picture[20:25, 10:17] == 255).all()
        picture[20:25, 10:17] = BACKGROUND
        assert (picture == BACKGROUND).all()

    def test_is_not_used_up_by_a_frame(self, tmp_path: Path) -> None:
        compositor = Compositor(WIDTH, HEIGHT, BACKGROUND)
        compositor.over(frame(tmp_path, np.full((9, 9, 4), 255, dtype=np.uint8)))
        assert (compositor.over(frame(tmp_path, CLEAR)) == BACKGROUND).all()


class TestSubject:
    def test_blends_every_pair_of_bytes_exactly_at_every_alpha(self) -> None:
        above, below = (side.ravel() for side in np.meshgrid(np.arange(256), np.arange(256)))
        for alpha in range(256):
            picture = np.repeat(below[:, None], 3, axis=1).astype(np.uint8)[None]
            subject = np.column_stack([above, above, above, np.full_like(above, alpha)]).astype(np.uint8)[None]
            lay_over(picture, subject)
            expected = np.floor((above * alpha + below * (255 - alpha)) / 255 + 0.5)
            assert (picture[0, :, 0] == expected).all()
            assert (picture[0] == picture[0, :, :1]).all()

    @settings(deadline=None)
    @given(arrays.arrays(np.uint8, (3, 4, 4)), arrays.arrays(np.uint8, (3, 4, 3)))
    def test_blends_each_channel_by_its_own_pixel(self, subject: Pixels, picture: Pixels) -> None:
        alpha = subject[..., 3:] / 255.0
        expected = np.floor(subject[..., :3] * alpha + picture * (1 - alpha) + 0.5 + 1e-9)
        lay_over(picture, subject)
        assert (picture == expected).all()

    def test_replaces_the_background_where_it_is_opaque(self, tmp_path: Path) -> None:
        subject = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)
        subject[..., 3] = 255
        assert (composite(frame(tmp_path, subject)) == subject[..., :3]).all()

    def test_leaves_the_background_where_it_is_clear(self, tmp_path: Path) -> None:
        subject = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)
        subject[..., 3] = 0
        assert (composite(frame(tmp_path, subject)) == BACKGROUND).all()

    def test_lies_over_the_shadow_and_not_under_it(self, tmp_path: Path) -> None:
        dark = shadow(tmp_path, np.ones((64, 64), dtype=np.float32), extent=20.0)
        subject = np.full((4, 4, 4), (9, 8, 7, 255), dtype=np.uint8)
        picture = composite(frame(tmp_path, subject, STEEP, at=(40, 25)), dark)
        assert (picture[25:29, 40:44] == (9, 8, 7)).all()
        assert (picture[24, 40] == 0).all()


class TestShadow:
    def test_of_opacity_1_is_black_and_of_0_is_the_background(self) -> None:
        shaded = shade(np.array([[0.0, 1.0, 0.5]], dtype=np.float32), np.array(BACKGROUND, dtype=np.uint8))
        assert shaded.tolist() == [[[200, 100, 50], [0, 0, 0], [100, 50, 25]]]

    @settings(deadline=None)
    @given(arrays.arrays(np.float32, (2, 3), elements=st.floats(-1, 2, width=32)))
    def test_only_ever_darkens(self, opacity: NDArray[np.float32]) -> None:
        background = np.array(BACKGROUND, dtype=np.uint8)
        shaded = shade(opacity, background)
        assert (shaded <= background).all()
        assert (shaded[opacity <= 0] == background).all()
        assert (shaded[opacity >= 1] == 0).all()

    def test_fills_the_frame_with_black_when_the_map_covers_it(self, tmp_path: Path) -> None:
        dark = shadow(tmp_path, np.ones((64, 64), dtype=np.float32), extent=20.0)
        assert (composite(frame(tmp_path, CLEAR, STEEP), dark) == 0).all()

    @pytest.mark.parametrize("azimuth", [0.0, 30.0, 90.0, -135.0])
    @pytest.mark.parametrize("spot", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.4), (-0.6, -0.3)])
    def test_of_one_texel_lands_where_the_ground_is_seen(
        self, tmp_path: Path, spot: tuple[float, float], azimuth: float
    ) -> None:
        size, extent = 256, 2.0
        column, row = (int((spot[0] + extent) / (2 * extent) * size), int((extent - spot[1]) / (2 * extent) * size))
        opacity = np.zeros((size, size), dtype=np.float32)
        opacity[row - 2 : row + 3, column - 2 : column + 3] = 1  # so large that about two pixels see it
        thrown = shadow(tmp_path, opacity, extent)
        now = frame(tmp_path, CLEAR, STEEP, azimuth=azimuth)
        darkness = 200.0 - composite(now, thrown)[..., 0]
        assert darkness.max() > 100
        rows, columns = np.indices(darkness.shape)
        seen = np.array([(darkness * (columns + 0.5)).sum(), (darkness * (rows + 0.5)).sum()]) / darkness.sum()
        x, y = (column + 0.5) / size * 2 * extent - extent, extent - (row + 0.5) / size * 2 * extent
        expected = view(STEEP, azimuth, 1.0).pixels(np.array([[x, y, 0.0]]))[0]
        assert seen == pytest.approx(expected, abs=0.3)

    def test_ends_exactly_where_the_map_ends(self, tmp_path: Path) -> None:
        small = shadow(tmp_path, np.ones((64, 64), dtype=np.float32), extent=0.3)
        picture = composite(frame(tmp_path, CLEAR, STEEP), small)
        corners = np.array([[x, y, 0.0] for x in (-0.3, 0.3) for y in (-0.3, 0.3)])
        pixels = view(STEEP, 0, 1.0).pixels(corners)
        dark = np.argwhere((picture != BACKGROUND).any(axis=-1))[:, ::-1] + 0.5
        assert len(dark) > 50
        assert (dark.min(axis=0) >= np.floor(pixels.min(axis=0))).all()
        assert (dark.max(axis=0) <= np.ceil(pixels.max(axis=0))).all()
        assert np.ptp(dark, axis=0) == pytest.approx(np.ptp(pixels, axis=0), abs=2.5)

    def test_that_falls_beside_the_frame_changes_nothing(self, tmp_path: Path) -> None:
        thrown = shadow(tmp_path, np.ones((64, 64), dtype=np.float32))
        beside = frame(tmp_path, CLEAR)
        away = np.array([[1.0, 0.0, 5000.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        moved = (away @ np.array(beside.ground_to_pixel).reshape(3, 3)).ravel().tolist()
        beside = replace(beside, ground_to_pixel=tuple(moved))
        assert (composite(beside, thrown) == BACKGROUND).all()

    def test_that_reaches_behind_the_camera_is_drawn_all_the_same(self, tmp_path: Path) -> None:
        wide = shadow(tmp_path, np.ones((64, 64), dtype=np.float32), extent=100.0)
        picture = composite(frame(tmp_path, CLEAR), wide)
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert (picture[-1] == 0).all(), "the ground before the camera lies in the shadow"


class TestMap:
    def test_has_its_first_row_at_plus_y_and_its_centres_at_a_half(self) -> None:
        ground = map_to_ground(ShadowMap("", 4, 2.0))
        assert (ground @ [0.5, 0.5, 1.0]).tolist() == [-1.5, 1.5, 1.0]
        assert (ground @ [3.5, 3.5, 1.0]).tolist() == [1.5, -1.5, 1.0]
        assert (ground @ [2.0, 2.0, 1.0]).tolist() == [0.0, 0.0, 1.0]

    def test_behind_the_camera_may_cover_the_whole_frame(self) -> None:
        wide = view(LENS, 0, 1.0).ground_to_pixel @ map_to_ground(ShadowMap("", 64, 100.0))
        assert covered(wide, 64, WIDTH, HEIGHT) == (0, 0, WIDTH, HEIGHT)

    @settings(deadline=None)
    @given(st.floats(0.1, 2.0), st.floats(-180, 180), st.floats(5, 80))
    def test_covers_every_pixel_that_it_throws_on(self, extent: float, azimuth: float, elevation: float) -> None:
        lens = Lens(85, elevation, 1.12, 0.8, WIDTH, HEIGHT)
        now = view(lens, azimuth, 1.0)
        left, top, right, bottom = covered(
            now.ground_to_pixel @ map_to_ground(ShadowMap("", 64, extent)), 64, WIDTH, HEIGHT
        )
        spots = np.random.default_rng(1).uniform(-extent, extent, (50, 3)) * [1, 1, 0]
        pixels = now.pixels(spots)
        shown = pixels[((pixels >= 0) & (pixels <= [WIDTH, HEIGHT])).all(axis=1)]
        assert (shown >= [left, top]).all()
        assert (shown <= [right, bottom]).all()
