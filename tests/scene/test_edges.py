"""The fade towards the frame's edges: no edge cuts what lies on the floor, and the middle is untouched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.scene import edges

sizes = st.integers(20, 400)


@given(sizes, sizes)
def test_is_nearly_gone_at_every_edge_and_whole_inside(width: int, height: int) -> None:
    fade = edges.fade(0, 0, width, height, width, height)
    assert fade.shape == (height, width)
    side, reach = min(width, height), edges.FADE * min(width, height)
    for edge in (fade[0], fade[-1], fade[:, 0], fade[:, -1]):
        assert edge.max() <= 3 * (0.5 / reach) ** 2
    margin = int(np.ceil(reach))
    assert (fade[margin:-margin, margin:-margin] == 1).all() or side <= 2 * margin
    assert (np.diff(fade[: height // 2, width // 2]) >= 0).all()


@given(sizes, sizes, st.data())
def test_is_the_same_computed_in_parts(width: int, height: int, data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    whole = edges.fade(0, 0, width, height, width, height)
    part = edges.fade(left, top, right, bottom, width, height)
    assert part == pytest.approx(whole[top:bottom, left:right])
