"""Depth as grey levels, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from farm.dataset.depth import Depths, Mask, Range, enclosing_range, levels

DEPTHS = arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.floats(0.125, 8, width=32))
BITS = st.sampled_from([8, 16])


def with_range(depths: Depths) -> tuple[Mask, Range]:
    """Every second pixel in the foreground, and the range of those."""
    mask = (np.arange(depths.size) % 2 == 0).reshape(depths.shape)
    seen = depths[mask]
    return mask, enclosing_range([Range(float(seen.min()), float(seen.max()))])


class TestLevels:
    @given(depths=DEPTHS, bits=BITS)
    def test_decode_within_half_a_level(self, depths: Depths, bits: int) -> None:
        mask, bounds = with_range(depths)
        decoded = levels(depths, mask, bounds, bits) / (2**bits - 1) * (bounds.far - bounds.near) + bounds.near
        half = (bounds.far - bounds.near) / (2**bits - 1) / 2
        assert np.abs(decoded - depths)[mask].max() <= half * (1 + 1e-6) + 1e-9

    @given(depths=DEPTHS, bits=BITS)
    def test_are_darker_when_nearer_and_lightest_in_the_background(self, depths: Depths, bits: int) -> None:
        mask, bounds = with_range(depths)
        made = levels(depths, mask, bounds, bits)
        assert made.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert (made[~mask] == 2**bits - 1).all()
        order = np.argsort(depths[mask], kind="stable")
        assert (np.diff(made[mask][order].astype(int)) >= 0).all()
        assert made[mask].min() == 0


class TestEnclosingRange:
    @given(pairs=st.lists(st.tuples(st.floats(0.1, 5), st.floats(0, 5)), min_size=1))
    def test_holds_every_view_and_no_more(self, pairs: list[tuple[float, float]]) -> None:
        ranges = [Range(near, near + depth) for near, depth in pairs]
        bounds = enclosing_range(ranges)
        assert bounds.near == min(each.near for each in ranges)
        assert bounds.far == pytest.approx(max(each.far for each in ranges), rel=1e-5)
        assert bounds.far > bounds.near
