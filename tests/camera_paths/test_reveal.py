"""Reveal: grows to full size and stops softly, facing front."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_paths import PATHS
from camera_paths.reveal import FIRST_VISIBLE_SCALE, reveal
from tests.camera_paths.strategies import Options, numbers, options

OPTIONS = options(PATHS["reveal"])
TIMES = st.floats(0, 1)
STEP = 1e-4


@given(sweep=numbers("sweep_angle"), scale=numbers("scale_from"), front=numbers("rotate_y"), easing=st.booleans())
def test_goes_from_its_start_to_full_size_at_the_front(sweep: float, scale: float, front: float, easing: bool) -> None:
    render_settings: Options = {"sweep_angle": sweep, "scale_from": scale, "rotate_y": front, "easing": easing}
    first, last = reveal(0, **render_settings), reveal(1, **render_settings)
    assert (first.azimuth, first.scale) == pytest.approx((front - sweep, max(scale, FIRST_VISIBLE_SCALE)))
    assert (last.azimuth, last.scale) == (front, 1), "exactly, not nearly"


def test_starts_barely_visible_and_half_a_turn_away_by_default() -> None:
    assert (reveal(0).azimuth, reveal(0).scale) == pytest.approx((-180, 0.02))


@given(render_settings=OPTIONS, a=TIMES, b=TIMES)
def test_never_shrinks_and_never_turns_back(render_settings: Options, a: float, b: float) -> None:
    before, after = (reveal(t, **render_settings) for t in sorted((a, b)))
    assert after.scale >= before.scale
    assert after.azimuth >= before.azimuth


@given(t=st.floats(0.9, 1))
def test_lands_softly(t: float) -> None:
    assert 1 - reveal(t).scale <= 1e-3 + 1e-9
    assert abs(reveal(t).azimuth) <= 180 * 1e-3 + 1e-6


@given(t=st.floats(STEP, 1 - STEP))
def test_has_no_jump_in_speed(t: float) -> None:
    before, now, after = (reveal(time).scale for time in (t - STEP, t, t + STEP))
    assert abs((after - now) - (now - before)) <= 6 * STEP**2 + 1e-12, "the largest second derivative of t**3 is 6"


@given(t=TIMES)
def test_grows_and_turns_evenly_without_easing(t: float) -> None:
    pose = reveal(t, easing=False)
    assert (pose.azimuth, pose.scale) == pytest.approx((180 * (t - 1), 0.02 + 0.98 * t))
