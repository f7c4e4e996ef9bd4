"""The sparse point cloud that splatting starts from: points of the surface, with the colours that the views show."""

import numpy as np
from numpy.typing import NDArray

from farm.dataset.cameras import unproject
from farm.dataset.depth import Depths, Mask
from farm.scene.camera import Array

MOST = 50_000  # points of a whole dataset: as many as structure from motion finds in one
POINT = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])

Points = NDArray[np.void]


def sample(picture: NDArray[np.uint8], depths: Depths, mask: Mask, pose: Array, *, count: int, seed: int) -> Points:
    """Up to `count` points that a view sees, of dtype POINT; the same every time for the same `seed`.

    Pixels at the silhouette are left out: their colour is in part the background's.
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
    """The pixels whose eight neighbours are in the mask as they are themselves. Outside the picture nothing is."""
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
