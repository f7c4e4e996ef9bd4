"""Hero spin: a spin that ends at rest, facing front."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_paths import PATHS
from camera_paths.hero_spin import hero_spin

TIMES = st.floats(0, 1)
SWEEPS = st.floats(10, 1080)
RATIOS = st.floats(0, 1)
STEP = 1e-5


def speed(t: float, ratio: float) -> float:
    """Degrees per unit of time just before `t`."""
    before, now = hero_spin(t - STEP, ease_out_ratio=ratio), hero_spin(t, ease_out_ratio=ratio)
    return (now.azimuth - before.azimuth) / STEP


@given(sweep=SWEEPS, ratio=RATIOS, front=st.integers(-180, 180), easing=st.booleans())
def test_ends_facing_front_after_the_whole_sweep(sweep: float, ratio: float, front: int, easing: bool) -> None:
    options = {"sweep_angle": sweep, "ease_out_ratio": ratio, "rotate_y": front, "easing": easing}
    assert hero_spin(1, **options).azimuth == front, "exactly, not nearly"
    assert hero_spin(0, **options).azimuth == pytest.approx(front - sweep)


@given(ratio=st.floats(0.05, 1))
def test_comes_to_rest(ratio: float) -> None:
    assert speed(1, ratio) == pytest.approx(0, abs=1)


@given(t=st.floats(0.01, 1), ratio=st.floats(0.05, 1))
def test_has_no_jump_in_velocity(t: float, ratio: float) -> None:
    deceleration = 540 / (1 - ratio / 2) / ratio
    assert abs(speed(t, ratio) - speed(t - STEP, ratio)) <= 3 * deceleration * STEP + 1e-3


@given(t=st.floats(STEP, 1), ratio=RATIOS)
def test_never_turns_back(t: float, ratio: float) -> None:
    assert speed(t, ratio) >= -1e-3


@given(t=TIMES)
def test_has_constant_speed_without_easing(t: float) -> None:
    assert hero_spin(t, easing=False).azimuth == pytest.approx(540 * (t - 1))


def test_is_at_rest_at_the_front_in_its_last_frame() -> None:
    last_but_one, last = PATHS["hero-spin"].poses(90)[-2:]
    assert last.azimuth == 0
    assert last_but_one.azimuth == pytest.approx(0, abs=0.1)
