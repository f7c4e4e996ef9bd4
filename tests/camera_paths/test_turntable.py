"""The turntable: one full turn without a seam."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_paths import PATHS, Pose
from camera_paths.turntable import turntable

TIMES = st.floats(0, 1)
ANGLES = st.integers(-180, 180)
ZOOMS = st.floats(0.5, 2)
EASING = st.booleans()
STEP = 1e-4


def speed(t: float, easing: bool) -> float:
    """Degrees per unit of time around `t`; the turn continues beyond both ends."""
    return (turntable(t + STEP, easing=easing).azimuth - turntable(t - STEP, easing=easing).azimuth) / (2 * STEP)


@given(easing=EASING, rotate_y=ANGLES)
def test_starts_at_rotate_y_and_turns_once(easing: bool, rotate_y: int) -> None:
    assert turntable(0, easing=easing, rotate_y=rotate_y).azimuth == rotate_y
    assert turntable(1, easing=easing, rotate_y=rotate_y).azimuth == pytest.approx(rotate_y + 360)


@given(t=TIMES, easing=EASING, zoom=ZOOMS)
def test_keeps_its_distance(t: float, easing: bool, zoom: float) -> None:
    assert turntable(t, easing=easing, zoom=zoom).radius == zoom


@given(t=TIMES, easing=EASING)
def test_never_stops_and_never_turns_back(t: float, easing: bool) -> None:
    assert speed(t, easing) > 100


@given(t=TIMES)
def test_has_constant_speed_without_easing(t: float) -> None:
    assert speed(t, easing=False) == pytest.approx(360)


def test_is_slowest_at_the_front_and_fastest_at_the_back() -> None:
    speeds = [speed(step / 100, easing=True) for step in range(101)]
    assert min(speeds) == pytest.approx(speeds[0])
    assert max(speeds) == pytest.approx(speeds[50])


@given(t=st.floats(0, 0.5))
def test_mirrors_the_first_half_in_the_second(t: float) -> None:
    assert turntable(t).azimuth + turntable(1 - t).azimuth == pytest.approx(360)


@given(frames=st.integers(2, 2000), easing=EASING)
def test_loops_without_a_seam(frames: int, easing: bool) -> None:
    poses = PATHS["turntable"].poses(frames, easing=easing)
    assert len(poses) == frames
    steps = [after.azimuth - before.azimuth for before, after in pairwise([*poses, Pose(poses[0].azimuth + 360)])]
    # The step from the last frame to the first mirrors the step from the first to the second.
    assert steps[-1] == pytest.approx(steps[0])
    assert sum(steps) == pytest.approx(360)
