"""The sparse point cloud that initialises Gaussian splatting: surface points with the colours of the views."""

import numpy as np
from numpy.typing import NDArray

from farm.dataset.cameras import unproject
from farm.dataset.depth import Depths, Mask
from farm.scene.camera import Array

MAX_POINTS = 50_000  # of a whole dataset, as many as structure from motion typically finds
POINT = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])

Points = NDArray[np.void]


def sample(picture: NDArray[np.uint8], depths: Depths, mask: Mask, pose: Array, *, count: int, seed: int) -> Points:
    """Up to `count` points of a view's visible surface, of dtype POINT; deterministic for a given `seed`.

    Pixels at the silhouette are excluded: their colours are mixed with the background's.
    """
    rows, columns = np.nonzero(interior(mask))
    if len(rows) > count:
        chosen = np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False))
        rows, columns = rows[chosen], columns[chosen]
    points = np.empty(len(rows), dtype=POINT)
    seen = depths[rows, columns].astype(np.float64)
    points["xyz"] = unproject(columns.astype(float), rows.astype(float), seen, len(mask), pose)
    points["rgb"] = picture[rows, columns]
    return points


def interior(mask: Mask) -> Mask:
    """The mask's pixels whose eight neighbours are all in the mask. Pixels beyond the picture are not."""
    padded = np.pad(mask, 1)
    for axis in (0, 1):
        padded = padded & np.roll(padded, 1, axis) & np.roll(padded, -1, axis)
    inside: Mask = padded[1:-1, 1:-1]
    return inside


def ply(points: Points) -> bytes:
    """A binary PLY file of points of dtype POINT. Format: G. Turk, "The PLY Polygon File Format" (1994)."""
    floats = "".join(f"property float {axis}\n" for axis in "xyz")
    bytes_ = "".join(f"property uchar {colour}\n" for colour in ("red", "green", "blue"))
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n{floats}{bytes_}end_header\n"
    return head.encode() + points.tobytes()
