"""A shadow covers the ground that the camera sees, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from farm.scene import edges
from farm.scene.camera import Lens, view
from farm.scene.shot import Frame, ShadowMap
from farm.video.layers import Box
from farm.video.shadow import ShadowCaster, covered_box, map_to_ground
from tests.video.frames import CLEAR, HEIGHT, LENS, STEEP, WIDTH, all_dark, frame, shadow_map

WHOLE_MAP = Box(0, 0, 64, 64)


def cast(drawn: Frame) -> NDArray[np.float32]:
    """The opacity of every pixel of the frame, without the fade at its edges."""
    assert drawn.shadow
    whole = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    if shadow := ShadowCaster(WIDTH, HEIGHT).cast(drawn.shadow, drawn.ground_to_pixel):
        whole[shadow.box.slices] = shadow.opacity(shadow.box)
    return whole / edges.fade(0, 0, WIDTH, HEIGHT, WIDTH, HEIGHT)


class TestShadow:
    def test_fills_the_frame_when_the_map_covers_it(self, tmp_path: Path) -> None:
        assert cast(frame(tmp_path, CLEAR, STEEP, shadow=all_dark(tmp_path))) == pytest.approx(1)

    @pytest.mark.parametrize("azimuth", [0.0, 30.0, 90.0, -135.0])
    @pytest.mark.parametrize("spot", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.4), (-0.6, -0.3)])
    def test_projects_one_texel_to_its_ground_position(
        self, tmp_path: Path, spot: tuple[float, float], azimuth: float
    ) -> None:
        size, extent = 256, 2.0
        column, row = (int((spot[0] + extent) / (2 * extent) * size), int((extent - spot[1]) / (2 * extent) * size))
        opacity = np.zeros((size, size), dtype=np.float32)
        opacity[row - 2 : row + 3, column - 2 : column + 3] = 1  # so large that about two pixels see it
        shadow_map_ = shadow_map(tmp_path, opacity, extent)
        darkness = cast(frame(tmp_path, CLEAR, STEEP, azimuth=azimuth, shadow=shadow_map_))
        assert darkness.max() > 0.5
        rows, columns = np.indices(darkness.shape)
        seen = np.array([(darkness * (columns + 0.5)).sum(), (darkness * (rows + 0.5)).sum()]) / darkness.sum()
        x, y = (column + 0.5) / size * 2 * extent - extent, extent - (row + 0.5) / size * 2 * extent
        expected = view(STEEP, azimuth, 1.0).pixels(np.array([[x, y, 0.0]]))[0]
        assert seen == pytest.approx(expected, abs=0.3)

    def test_ends_exactly_where_the_map_ends(self, tmp_path: Path) -> None:
        opacity = cast(frame(tmp_path, CLEAR, STEEP, shadow=all_dark(tmp_path, extent=0.3)))
        corners = np.array([[x, y, 0.0] for x in (-0.3, 0.3) for y in (-0.3, 0.3)])
        pixels = view(STEEP, 0, 1.0).pixels(corners)
        dark = np.argwhere(opacity > 0)[:, ::-1] + 0.5
        assert len(dark) > 50
        assert (dark.min(axis=0) >= np.floor(pixels.min(axis=0))).all()
        assert (dark.max(axis=0) <= np.ceil(pixels.max(axis=0))).all()
        assert np.ptp(dark, axis=0) == pytest.approx(np.ptp(pixels, axis=0), abs=2.5)

    def test_is_none_outside_the_frame(self, tmp_path: Path) -> None:
        beside = frame(tmp_path, shadow=all_dark(tmp_path, extent=2.0))
        away = np.array([[1.0, 0.0, 5000.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        moved = (away @ np.array(beside.ground_to_pixel).reshape(3, 3)).ravel().tolist()
        beside = replace(beside, ground_to_pixel=tuple(moved))
        assert (cast(beside) == 0).all()

    def test_stays_below_the_horizon(self, tmp_path: Path) -> None:
        level = Lens.around_sphere(85, 3, 1.12, 0.8, WIDTH, HEIGHT)
        camera = view(level, 0, 1.0)
        opacity = cast(frame(tmp_path, CLEAR, level, shadow=all_dark(tmp_path, extent=10_000.0)))
        far = camera.position * [1, 1, 0] + camera.axes[:, 2] * [-1e6, -1e6, 0]
        horizon = float(camera.pixels(far[None])[0, 1])
        assert 2 < horizon < HEIGHT - 2, "the horizon is in the frame"
        assert (opacity[: int(horizon) - 1] == 0).all(), "no shadow in the sky"
        assert opacity[int(horizon) + 3 :] == pytest.approx(1), "the ground in front of the camera is in shadow"

    def test_is_smooth_from_a_coarse_map(self, tmp_path: Path) -> None:
        across = np.linspace(-1, 1, 16, dtype=np.float32)
        bump = np.clip(1 - np.hypot(across, across[:, None]), 0, 1).astype(np.float32) ** 2
        tall = Lens.around_sphere(85, 89, 1.12, 0.0, 960, 540)
        drawn = frame(tmp_path, CLEAR, tall, shadow=shadow_map(tmp_path, bump, 1.0))
        assert drawn.shadow
        shadow = ShadowCaster(960, 540).cast(drawn.shadow, drawn.ground_to_pixel)
        assert shadow
        opacity = shadow.opacity(shadow.box)
        middle = opacity[len(opacity) // 2]
        bends = np.abs(np.diff(middle[20:-20], 2))
        assert bends.max() < 0.004, "facets of a linear interpolation would bend three times as sharply"

    def test_is_the_same_computed_in_parts(self, tmp_path: Path) -> None:
        rough = np.random.default_rng(1).random((64, 64)).astype(np.float32)
        drawn = frame(tmp_path, CLEAR, STEEP, azimuth=30, shadow=shadow_map(tmp_path, rough, 1.0))
        assert drawn.shadow
        shadow = ShadowCaster(WIDTH, HEIGHT).cast(drawn.shadow, drawn.ground_to_pixel)
        assert shadow
        left, top, right, bottom = shadow.box
        part = Box(left + 7, top + 5, right - 3, bottom - 4)
        assert np.abs(shadow.opacity(part) - shadow.opacity(shadow.box)[5:-4, 7:-3]).max() < 1e-4

    def test_reads_a_shared_map_once(self, tmp_path: Path) -> None:
        drawn = frame(tmp_path, CLEAR, STEEP, shadow=all_dark(tmp_path))
        assert drawn.shadow
        caster = ShadowCaster(WIDTH, HEIGHT)
        caster.cast(drawn.shadow, drawn.ground_to_pixel)
        (tmp_path / "shadow.npy").unlink()
        assert caster.cast(drawn.shadow, drawn.ground_to_pixel)


class TestMap:
    def test_has_its_first_row_at_plus_y_and_its_centres_at_a_half(self) -> None:
        ground = map_to_ground(ShadowMap("", 4, 2.0))
        assert (ground @ [0.5, 0.5, 1.0]).tolist() == [-1.5, 1.5, 1.0]
        assert (ground @ [3.5, 3.5, 1.0]).tolist() == [1.5, -1.5, 1.0]
        assert (ground @ [2.0, 2.0, 1.0]).tolist() == [0.0, 0.0, 1.0]

    def test_has_no_outline_when_it_reaches_behind_the_camera(self) -> None:
        wide = view(LENS, 0, 1.0).ground_to_pixel @ map_to_ground(ShadowMap("", 64, 100.0))
        assert covered_box(wide, WHOLE_MAP) is None

    @settings(deadline=None)
    @given(st.floats(0.1, 2.0), st.floats(-180, 180), st.floats(5, 80))
    def test_covers_every_pixel_of_its_shadow(self, extent: float, azimuth: float, elevation: float) -> None:
        camera = view(Lens.around_sphere(85, elevation, 1.12, 0.8, WIDTH, HEIGHT), azimuth, 1.0)
        box = covered_box(camera.ground_to_pixel @ map_to_ground(ShadowMap("", 64, extent)), WHOLE_MAP)
        assert box
        spots = np.random.default_rng(1).uniform(-extent, extent, (50, 3)) * [1, 1, 0]
        pixels = camera.pixels(spots)
        shown = pixels[((pixels >= 0) & (pixels <= [WIDTH, HEIGHT])).all(axis=1)]
        assert (shown >= box[:2]).all()
        assert (shown <= box[2:]).all()
