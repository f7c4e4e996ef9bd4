"""Tilt, pan and roll: the model rotates about the documented axes in the documented order and stands on the ground."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from farm.scene.shot import ShotSetup
from tests.support.blender import InsideBlender, shot

pytestmark = pytest.mark.slow
Matrix = NDArray[np.float64]
PLAIN = shot("walker.glb")


def rotation_of(setup: ShotSetup) -> Matrix:
    """farm.blender.stage.rotation. Runs in a process with bpy."""
    from farm.blender.stage import rotation

    return np.array(rotation(setup))[:3, :3]


def points_of(setup: ShotSetup) -> NDArray[np.float64]:
    from farm.blender.stage import set_up

    return set_up(setup).points


def about(axis: int, degrees: float) -> Matrix:
    """A right-handed rotation about x, y or z (0, 1, 2)."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    one, two = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[one, one] = matrix[two, two] = cosine
    matrix[two, one], matrix[one, two] = sine, -sine
    return matrix


class TestAxes:
    def test_tilts_forwards(self, inside: InsideBlender) -> None:
        """The front is -Y: the top moves towards the viewer."""
        assert inside(rotation_of, replace(PLAIN, tilt_x=90)) @ [0, 0, 1] == pytest.approx([0, -1, 0], abs=1e-6)

    def test_pans_counter_clockwise_seen_from_above(self, inside: InsideBlender) -> None:
        assert inside(rotation_of, replace(PLAIN, pan_x=90)) @ [0, -1, 0] == pytest.approx([1, 0, 0], abs=1e-6)

    def test_rolls_counter_clockwise_seen_from_the_front(self, inside: InsideBlender) -> None:
        assert inside(rotation_of, replace(PLAIN, roll_z=90)) @ [1, 0, 0] == pytest.approx([0, 0, 1], abs=1e-6)

    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(tilt=st.integers(-90, 90), pan=st.integers(-180, 180), roll=st.integers(-180, 180))
    def test_rolls_first_and_pans_last(self, inside: InsideBlender, tilt: int, pan: int, roll: int) -> None:
        expected = about(2, pan) @ about(0, tilt) @ about(1, -roll)
        assert inside(rotation_of, replace(PLAIN, tilt_x=tilt, pan_x=pan, roll_z=roll)) == pytest.approx(
            expected, abs=1e-5
        )


class TestStanding:
    @pytest.mark.parametrize("turned", [{"tilt_x": 35}, {"roll_z": -120}, {"tilt_x": -60, "pan_x": 40, "roll_z": 15}])
    def test_puts_the_rotated_model_on_the_ground(self, inside: InsideBlender, turned: dict[str, int]) -> None:
        points = inside(points_of, replace(PLAIN, **turned))  # type: ignore[arg-type]
        assert points[:, 2].min() == pytest.approx(0, abs=1e-5)
        low, high = points.min(axis=0), points.max(axis=0)
        assert (low + high)[:2] == pytest.approx([0, 0], abs=1e-5)
        assert np.linalg.norm(points - [0, 0, high[2] / 2], axis=1).max() == pytest.approx(1, abs=1e-5)
