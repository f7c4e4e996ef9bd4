"""Depth as grey levels: nearer is darker, the background is as light as the farthest pixel. Pure functions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Depths = NDArray[np.float32]
Mask = NDArray[np.bool_]


LINEAR_STEP = (
    1e-3  # in the dataset's units, a level of linear depth: the default of nerfstudio's depth_unit_scale_factor
)


class Range(NamedTuple):
    """The planar depths of the nearest and the farthest foreground pixel of all views, in the dataset's units."""

    near: float
    far: float


def enclosing_range(ranges: list[Range]) -> Range:
    """The smallest range that holds all of these, widened slightly if it is empty (a flat object seen face on).

    Raises ValueError when `ranges` is empty.
    """
    near, far = min(each.near for each in ranges), max(each.far for each in ranges)
    return Range(near, max(far, near * (1 + 1e-6)))


def levels(depths: Depths, mask: Mask, bounds: Range, bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Grey levels of 8 or 16 bits: near is 0, far and the background the highest level. Shapes are (height, width).

    Decoded by depth = level / (2**bits - 1) * (far - near) + near, with an error of at most half a level.
    """
    last = 2**bits - 1
    shares = (depths.astype(np.float64) - bounds.near) / (bounds.far - bounds.near)
    whole = np.where(mask, np.rint(np.clip(shares, 0, 1) * last), last)
    return whole.astype(np.uint8) if bits == 8 else whole.astype(np.uint16)


def linear_levels(depths: Depths) -> NDArray[np.uint16]:
    """Levels of 16 bits of LINEAR_STEP each, from 0. `depths` of shape (height, width) are at most 65.535 units.

    Decoded by depth = level * LINEAR_STEP, with an error of at most half a level. 0 stays 0: no surface.
    """
    whole: NDArray[np.uint16] = np.rint(depths.astype(np.float64) / LINEAR_STEP).astype(np.uint16)
    return whole
