"""Zoom orbit: one turn while the distance goes from start to end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_paths import PATHS
from camera_paths.zoom_orbit import zoom_orbit

ZOOMS = st.floats(0.1, 3)
EASING = st.booleans()
TIMES = st.floats(0, 1)
STEP = 1e-4


@given(start=ZOOMS, end=ZOOMS, easing=EASING, zoom=st.floats(0.5, 2))
def test_goes_from_start_to_end_in_one_turn(start: float, end: float, easing: bool, zoom: float) -> None:
    first, last = (zoom_orbit(t, zoom_start=start, zoom_end=end, easing=easing, zoom=zoom) for t in (0, 1))
    assert (first.azimuth, last.azimuth) == (0, 360)
    assert (first.radius, last.radius) == pytest.approx((start * zoom, end * zoom))


@given(t=TIMES, start=ZOOMS, end=ZOOMS, easing=EASING)
def test_stays_between_start_and_end(t: float, start: float, end: float, easing: bool) -> None:
    radius = zoom_orbit(t, zoom_start=start, zoom_end=end, easing=easing).radius
    assert min(start, end) - 1e-9 <= radius <= max(start, end) + 1e-9


def test_starts_and_ends_at_rest_with_easing() -> None:
    azimuths = [pose.azimuth for pose in PATHS["zoom-orbit"].poses(100)]
    assert azimuths[1] - azimuths[0] < 0.2
    assert azimuths[-1] - azimuths[-2] < 0.2
    assert azimuths[-1] == pytest.approx(360)


@given(a=TIMES, b=TIMES, easing=EASING)
def test_never_turns_back_and_keeps_coming_closer(a: float, b: float, easing: bool) -> None:
    before, after = (zoom_orbit(t, easing=easing) for t in sorted((a, b)))
    assert after.azimuth >= before.azimuth - 1e-9
    assert after.radius <= before.radius + 1e-9


@given(t=st.floats(STEP, 1 - STEP))
def test_has_no_jump_in_speed(t: float) -> None:
    before, now, after = (zoom_orbit(time).azimuth for time in (t - STEP, t, t + STEP))
    assert abs((after - now) - (now - before)) <= 360 * 6 * STEP**2 + 1e-9, "smoothstep accelerates by at most 6"
