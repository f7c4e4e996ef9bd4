"""The ground's shadow: darkest under the subject, zero at the map's border."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from farm.blender.host_process import BlenderHost
from tests.support.blender import InsideBlender, bake, shot

pytestmark = pytest.mark.slow
Map = NDArray[np.float32]
SIZE = 16
MAPS = arrays.arrays(np.float32, (SIZE, SIZE), elements=st.floats(-0.5, 1.5, width=32))
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BORDER = np.ones((SIZE, SIZE), dtype=bool)
BORDER[1:-1, 1:-1] = False


def soft(alpha: Map, strength: float) -> Map:
    """farm.blender.shadows.soften, run in a process with bpy."""
    from farm.blender.shadows import soften

    return soften(alpha, strength=strength)


class TestSoften:
    @RELAXED
    @given(MAPS, st.floats(0, 1))
    def test_returns_opacities_that_nearly_vanish_at_the_border(
        self, inside: InsideBlender, alpha: Map, strength: float
    ) -> None:
        opacity = inside(soft, alpha, strength)
        assert opacity.dtype == np.float32
        assert opacity.shape == alpha.shape
        assert (opacity >= 0).all()
        assert (opacity <= 1).all()
        assert (opacity[BORDER] < 0.05).all()  # of a map as coarse as this one; a real one: TestBake

    @RELAXED
    @given(MAPS, MAPS, st.floats(0, 1))
    def test_is_monotonic_in_alpha(self, inside: InsideBlender, alpha: Map, more: Map, strength: float) -> None:
        less, greater = (inside(soft, each, strength) for each in (alpha, np.maximum(alpha, more)))
        assert (greater >= less - 1e-6).all()

    def test_returns_zero_without_alpha_or_strength(self, inside: InsideBlender) -> None:
        assert not inside(soft, np.zeros((SIZE, SIZE), dtype=np.float32), 1.0).any()
        assert not inside(soft, np.ones((SIZE, SIZE), dtype=np.float32), 0.0).any()

    def test_returns_full_opacity_in_the_middle(self, inside: InsideBlender) -> None:
        opacity = inside(soft, np.ones((SIZE, SIZE), dtype=np.float32), 1.0)
        assert opacity[SIZE // 2, SIZE // 2] == pytest.approx(1)

    def test_fades_monotonically_towards_the_border(self, inside: InsideBlender) -> None:
        row = inside(soft, np.ones((64, 64), dtype=np.float32), 1.0)[32, 32:]
        assert (np.diff(row) <= 0).all()
        assert row[-1] < 0.002


class TestBake:
    def test_is_darkest_at_the_subject_and_zero_at_the_border(self, host: BlenderHost) -> None:
        shadow, opacity = bake(host, shot("product.glb", shadows=True))
        assert opacity.shape == (shadow.size, shadow.size)
        assert opacity.dtype == np.float32
        across = (np.arange(shadow.size) + 0.5) / shadow.size * 2 - 1
        away = np.hypot(across[:, None], across[None, :]) * shadow.extent
        darkest = np.unravel_index(opacity.argmax(), opacity.shape)
        assert opacity.max() > 0.1
        assert away[darkest] < 1.1, "the subject stands within one unit of the middle"
        assert (opacity[away > shadow.extent] == 0).all()
        border = np.concatenate([opacity[0], opacity[-1], opacity[:, 0], opacity[:, -1]])
        assert border.max() < 1 / 255 / 2, "a border that can be seen would be an edge on the ground"
        assert opacity.min() >= 0
        assert opacity.max() <= 1

    def test_is_reproducible(self, host: BlenderHost) -> None:
        _, first = bake(host, shot("product.glb", shadows=True))
        _, second = bake(host, shot("product.glb", shadows=True))
        assert (first == second).all()
