"""The camera's promises: the subject fits, and the shadow's homography agrees with the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.blender.camera import Array, Lens, crop, view

SIZES = [(960, 540), (540, 540), (540, 960), (96, 54), (54, 96)]
lenses = st.builds(
    lambda size, focal, elevation, margin, target: Lens(focal, elevation, margin, target, *size),
    st.sampled_from(SIZES),
    st.floats(24, 200),
    st.floats(-20, 80),
    st.floats(1.0, 1.5),
    st.floats(0.1, 1.0),
)
azimuths = st.floats(-720, 720)


def sphere(lens: Lens, count: int = 2000) -> Array:
    """Points spread evenly over the subject's unit sphere."""
    index = np.arange(count) + 0.5
    z, turn = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    flat = np.sqrt(1 - z * z)
    return np.column_stack([flat * np.cos(turn), flat * np.sin(turn), z + lens.target])


@given(lenses, azimuths)
def test_the_whole_sphere_is_inside_the_frame(lens: Lens, azimuth: float) -> None:
    pixels = view(lens, azimuth, 1.0).pixels(sphere(lens))
    assert pixels.min() >= -1e-6
    assert pixels[:, 0].max() <= lens.width + 1e-6
    assert pixels[:, 1].max() <= lens.height + 1e-6


@given(lenses, azimuths)
def test_without_a_margin_the_sphere_touches_the_shorter_side(lens: Lens, azimuth: float) -> None:
    tight = Lens(lens.focal_length, lens.elevation, 1.0, lens.target, lens.width, lens.height)
    extent = np.ptp(view(tight, azimuth, 1.0).pixels(sphere(tight)), axis=0)
    shorter = min(lens.width, lens.height)
    assert extent.min() == pytest.approx(shorter, rel=0.02)


@given(lenses, azimuths, st.floats(-1, 1), st.floats(-1, 1))
def test_the_homography_puts_ground_points_where_the_projection_does(
    lens: Lens, azimuth: float, x: float, y: float
) -> None:
    now = view(lens, azimuth, 1.0)
    flat = now.ground_to_pixel @ np.array([x, y, 1.0])
    assert flat[:2] / flat[2] == pytest.approx(now.pixels(np.array([[x, y, 0.0]]))[0], abs=1e-6)


def test_azimuth_zero_faces_the_front_and_positive_goes_to_the_cameras_right() -> None:
    lens = Lens(85, 0.0, 1.1, 1.0, 960, 540)
    assert view(lens, 0, 1.0).position == pytest.approx([0, -lens.distance, 1])
    assert view(lens, 90, 1.0).position == pytest.approx([lens.distance, 0, 1])


def test_a_radius_of_two_doubles_the_distance() -> None:
    lens = Lens(85, 0.0, 1.1, 1.0, 960, 540)
    assert view(lens, 0, 2.0).position[1] == pytest.approx(2 * view(lens, 0, 1.0).position[1])


@given(lenses, azimuths, st.floats(0.3, 2))
def test_the_crop_lies_within_the_frame_and_holds_every_visible_point(
    lens: Lens, azimuth: float, radius: float
) -> None:
    now, points = view(lens, azimuth, radius), sphere(lens, 200)
    left, top, right, bottom = crop(now, points, 2)
    assert 0 <= left < right <= lens.width
    assert 0 <= top < bottom <= lens.height
    pixels = now.pixels(points)
    seen = pixels[((pixels > 0) & (pixels < [lens.width, lens.height])).all(axis=1)]
    assert (seen >= [left, top]).all()
    assert (seen <= [right, bottom]).all()
