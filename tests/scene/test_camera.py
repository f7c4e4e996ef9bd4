"""The camera keeps the unit sphere inside the frame, and its matrices project correctly."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from farm.scene.camera import Array, Lens, crop, view

SIDES = st.integers(16, 4096)
LENSES = st.builds(
    Lens.around_sphere,
    focal_length=st.floats(12, 300),
    elevation=st.floats(-85, 85),
    margin=st.floats(1, 2),
    target=st.floats(0, 3),
    width=SIDES,
    height=SIDES,
)
AZIMUTHS = st.floats(-720, 720)
POINTS = st.lists(st.integers(0, 3999), min_size=1, max_size=12)  # of `sphere`
LENS = Lens.around_sphere(focal_length=85, elevation=12, margin=1.12, target=0.8, width=960, height=540)


def sphere(target: float) -> Array:
    """4000 evenly spread points of the subject's bounding sphere (a Fibonacci lattice)."""
    number = np.arange(4000) + 0.5
    height = 1 - number / 2000
    turn = number * math.pi * (1 + math.sqrt(5))
    ring = np.sqrt(1 - height**2)
    return np.column_stack([ring * np.cos(turn), ring * np.sin(turn), height + target])


class TestFit:
    @settings(deadline=None)
    @given(LENSES, AZIMUTHS)
    def test_keeps_the_sphere_inside_the_frame_for_any_lens(self, lens: Lens, azimuth: float) -> None:
        pixels = view(lens, azimuth, 1.0).pixels(sphere(lens.target))
        assert (pixels >= -1e-6).all()
        assert (pixels <= np.array([lens.width, lens.height]) + 1e-6).all()

    @settings(deadline=None)
    @given(LENSES, AZIMUTHS)
    def test_fills_the_shorter_side_without_margin(self, lens: Lens, azimuth: float) -> None:
        lens = Lens.around_sphere(lens.focal_length, lens.elevation, 1.0, lens.target, lens.width, lens.height)
        pixels = view(lens, azimuth, 1.0).pixels(sphere(lens.target))
        extent = pixels.max(axis=0) - pixels.min(axis=0)
        assert extent[np.argmin([lens.width, lens.height])] >= 0.99 * min(lens.width, lens.height)

    @settings(deadline=None)
    @given(LENSES, AZIMUTHS, st.floats(1, 3))
    def test_centres_the_sphere(self, lens: Lens, azimuth: float, radius: float) -> None:
        centre = np.array([[0.0, 0.0, lens.target]])
        assert view(lens, azimuth, radius).pixels(centre) == pytest.approx(
            np.array([[lens.width / 2, lens.height / 2]]), abs=1e-6
        )

    @settings(deadline=None)
    @given(LENSES, AZIMUTHS, st.floats(1.1, 3))
    def test_shows_the_sphere_smaller_at_a_greater_radius(self, lens: Lens, azimuth: float, radius: float) -> None:
        near, far = (np.ptp(view(lens, azimuth, at).pixels(sphere(lens.target)), axis=0) for at in (1.0, radius))
        assert (far < near).all()


class TestDirections:
    def test_puts_azimuth_0_at_minus_y(self) -> None:
        x, y, z = view(LENS, 0, 1.0).position
        assert x == pytest.approx(0)
        assert y < -1
        assert z > LENS.target

    def test_moves_the_camera_to_plus_x_at_positive_azimuth(self) -> None:
        x, y, _ = view(LENS, 90, 1.0).position
        assert x > 1
        assert y == pytest.approx(0)

    @settings(deadline=None)
    @given(LENSES, AZIMUTHS)
    def test_repeats_after_a_full_turn(self, lens: Lens, azimuth: float) -> None:
        there, again = view(lens, azimuth, 1.0), view(lens, azimuth + 360, 1.0)
        assert there.position == pytest.approx(again.position, abs=1e-6)
        assert there.axes == pytest.approx(again.axes, abs=1e-6)

    @settings(deadline=None)
    @given(LENSES, AZIMUTHS)
    def test_returns_right_handed_rotations_as_axes(self, lens: Lens, azimuth: float) -> None:
        axes = view(lens, azimuth, 1.0).axes
        assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-9)
        assert np.linalg.det(axes) == pytest.approx(1)

    @settings(deadline=None)
    @given(LENSES, AZIMUTHS)
    def test_projects_up_and_right_to_up_and_right(self, lens: Lens, azimuth: float) -> None:
        camera = view(lens, azimuth, 1.0)
        middle = np.array([0.0, 0.0, lens.target])
        centre, higher, further_right = camera.pixels(
            np.array([middle, [0.0, 0.0, lens.target + 0.1], middle + 0.1 * camera.axes[:, 0]])
        )
        assert higher[1] < centre[1]
        assert further_right[0] > centre[0]


class TestGround:
    @settings(deadline=None)
    @given(LENSES, AZIMUTHS, st.floats(-1, 1), st.floats(-1, 1))
    def test_agrees_with_the_projection(self, lens: Lens, azimuth: float, x: float, y: float) -> None:
        camera = view(lens, azimuth, 1.0)
        homogeneous = camera.ground_to_pixel @ [x, y, 1.0]
        expected = camera.pixels(np.array([[x, y, 0.0]]))[0]
        assert homogeneous[:2] / homogeneous[2] == pytest.approx(expected, rel=1e-6, abs=1e-6)


class TestCrop:
    @settings(deadline=None)
    @given(LENSES, AZIMUTHS, st.floats(0.5, 2), st.integers(0, 8), POINTS)
    def test_stays_in_the_frame_and_is_not_empty(
        self, lens: Lens, azimuth: float, radius: float, border: int, points: list[int]
    ) -> None:
        left, top, right, bottom = crop(view(lens, azimuth, radius), sphere(lens.target)[points], border)
        assert 0 <= left < right <= lens.width
        assert 0 <= top < bottom <= lens.height

    @settings(deadline=None)
    @given(LENSES, AZIMUTHS, st.floats(0.5, 2), st.integers(0, 8), POINTS)
    def test_contains_every_visible_point(
        self, lens: Lens, azimuth: float, radius: float, border: int, points: list[int]
    ) -> None:
        assume(radius * lens.distance > 1)  # inside the sphere, points behind the camera have no pixel
        camera, surface = view(lens, azimuth, radius), sphere(lens.target)[points]
        left, top, right, bottom = crop(camera, surface, border)
        across, down = camera.pixels(surface).T
        visible = (across >= 0) & (across <= lens.width) & (down >= 0) & (down <= lens.height)
        assert (across[visible] >= left).all()
        assert (across[visible] <= right).all()
        assert (down[visible] >= top).all()
        assert (down[visible] <= bottom).all()

    def test_is_as_tight_as_the_border_allows(self) -> None:
        points = sphere(LENS.target)
        camera = view(LENS, 33, 1.0)
        left, top, right, bottom = crop(camera, points, 2)
        low, high = camera.pixels(points).min(axis=0), camera.pixels(points).max(axis=0)
        assert [left, top] == [math.floor(low[0]) - 2, math.floor(low[1]) - 2]
        assert [right, bottom] == [math.ceil(high[0]) + 2, math.ceil(high[1]) + 2]

    def test_is_the_whole_frame_from_inside_the_subject(self) -> None:
        inside = view(LENS, 0, 0.5 / LENS.distance)
        assert crop(inside, sphere(LENS.target), 2) == (0, 0, 960, 540)

    @pytest.mark.parametrize("away", [(50.0, 0.0), (-50.0, 0.0), (0.0, 50.0), (0.0, -50.0)])
    def test_is_one_pixel_at_the_edge_for_points_outside(self, away: tuple[float, float]) -> None:
        camera = view(LENS, 0, 1.0)
        across, up = away
        point = np.array([[0.0, 0.0, LENS.target]]) + across * camera.axes[:, 0] + up * camera.axes[:, 1]
        left, top, right, bottom = crop(camera, point, 0)
        assert 0 <= left < right <= 960
        assert 0 <= top < bottom <= 540
        assert (right - left) == 1 or (bottom - top) == 1

    def test_is_not_empty_for_a_single_point(self) -> None:
        left, top, right, bottom = crop(view(LENS, 0, 1.0), np.array([[0.0, 0.0, LENS.target]]), 0)
        assert (left, top, right, bottom) == (480, 270, 481, 271)
