"""The pinhole camera that all views share, and transforms.json, which tells trainers of it. Pure functions.

Pixel (column, row) has its centre at (column + 0.5, row + 0.5), so the principal point is the middle of the picture.
A camera looks along -Z, +X is right and +Y up (OpenGL). The world is z-up, the subject's bounding sphere has radius 1
and lies around the origin: instant-ngp, which halves and more (x0.33, then +0.5), finds it inside its unit cube.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from farm.dataset.depth import Range
from farm.scene.camera import Array
from farm.scene.views import Direction, camera, focal

POINTS = "sparse_pc.ply"


def pose(where: Direction, side: int) -> Array:
    """A view's 4x4 camera-to-world matrix in the dataset's world."""
    now = camera(where, side)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = now.axes, now.position
    return matrix


def unproject(columns: Array, rows: Array, depths: Array, side: int, pose: Array) -> Array:
    """World points, shape (n, 3), of pixels with planar depths. `pose` is the view's 4x4 camera-to-world matrix."""
    across = (columns + 0.5 - side / 2) / focal(side)
    down = (rows + 0.5 - side / 2) / focal(side)
    seen = np.column_stack([across, -down, -np.ones_like(across)]) * depths[:, None]
    points: Array = seen @ pose[:3, :3].T + pose[:3, 3]
    return points


def transforms(names: Sequence[str], poses: Sequence[Array], side: int, bounds: Range) -> dict[str, Any]:
    """transforms.json of these pictures and their 4x4 camera-to-world matrices.

    There is no `mask_path`, with which nerfstudio would leave the background untaught, and no `depth_file_path`, for
    nerfstudio and instant-ngp know depth as a multiple of the level alone, without a near plane.
    """
    angle = 2 * math.atan(side / 2 / focal(side))
    return {
        "camera_model": "OPENCV",
        "fl_x": focal(side),
        "fl_y": focal(side),
        "cx": side / 2,
        "cy": side / 2,
        "w": side,
        "h": side,
        "k1": 0.0,
        "k2": 0.0,
        "p1": 0.0,
        "p2": 0.0,
        "camera_angle_x": angle,
        "camera_angle_y": angle,
        "aabb_scale": 1,
        "depth_near": bounds.near,
        "depth_far": bounds.far,
        "ply_file_path": POINTS,
        "frames": [
            {"file_path": name, "transform_matrix": pose.tolist()} for name, pose in zip(names, poses, strict=True)
        ],
    }
