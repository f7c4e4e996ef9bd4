"""Showcase: half the amplitude to each side, and back without a seam."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_paths import PATHS
from camera_paths.showcase import showcase

AMPLITUDES = st.floats(5, 180)
EASING = st.booleans()
STEP = 1e-4


@given(amplitude=AMPLITUDES, easing=EASING, front=st.integers(-180, 180))
def test_swings_half_the_amplitude_to_each_side(amplitude: float, easing: bool, front: int) -> None:
    quarters = [showcase(t / 4, amplitude=amplitude, easing=easing, rotate_y=front).azimuth - front for t in range(5)]
    assert quarters == pytest.approx([0, amplitude / 2, 0, -amplitude / 2, 0], abs=1e-9)


@given(t=st.floats(0, 1), amplitude=AMPLITUDES, easing=EASING)
def test_never_leaves_the_swing(t: float, amplitude: float, easing: bool) -> None:
    assert abs(showcase(t, amplitude=amplitude, easing=easing).azimuth) <= amplitude / 2 + 1e-9


@given(frames=st.integers(90, 900), easing=EASING)
def test_takes_bounded_steps_and_closes_its_loop(frames: int, easing: bool) -> None:
    azimuths = [pose.azimuth for pose in PATHS["showcase"].poses(frames, easing=easing)]
    steps = [abs(after - before) for before, after in zip(azimuths, azimuths[1:] + azimuths[:1], strict=True)]
    fastest = 60 / 2 * 2 * 3.1416 / frames
    assert max(steps) <= fastest + 1e-9


@given(t=st.floats(0, 1))
def test_has_no_jump_in_speed_even_at_the_loops_seam(t: float) -> None:
    before, now, after = (showcase((t + shift) % 1).azimuth for shift in (-STEP, 0, STEP))
    assert abs((after - now) - (now - before)) <= 30 * (2 * math.pi * STEP) ** 2 + 1e-9


@given(a=st.floats(0, 1), b=st.floats(0, 1), easing=EASING, quarter=st.sampled_from([(-0.25, 0.25), (0.25, 0.75)]))
def test_turns_one_way_between_its_turning_points(
    a: float, b: float, easing: bool, quarter: tuple[float, float]
) -> None:
    low, high = quarter
    before, after = (showcase(low + t * (high - low), easing=easing).azimuth for t in sorted((a, b)))
    assert (after - before) * (1 if high == 0.25 else -1) >= -1e-9
