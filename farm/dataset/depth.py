"""Depth as grey levels: nearer is darker, and what is nowhere is as light as what is farthest. Pure functions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Depths = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Range(NamedTuple):
    """The planar depths between which every foreground pixel of every view lies, in the dataset's units."""

    near: float
    far: float


def tight(ranges: list[Range]) -> Range:
    """The range around all of these. A flat thing seen face on gets a little room behind it.

    Raises ValueError when there is none.
    """
    near, far = min(each.near for each in ranges), max(each.far for each in ranges)
    return Range(near, max(far, near * (1 + 1e-6)))


def levels(depths: Depths, mask: Mask, bounds: Range, bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Grey levels of 8 or 16 bits, the whole range from near at 0 to far at the last one. Shapes are (height, width).

    Decoded by depth = level / (2**bits - 1) * (far - near) + near, at most half a level off.
    """
    last = 2**bits - 1
    shares = (depths.astype(np.float64) - bounds.near) / (bounds.far - bounds.near)
    whole = np.where(mask, np.rint(np.clip(shares, 0, 1) * last), last)
    return whole.astype(np.uint8) if bits == 8 else whole.astype(np.uint16)
