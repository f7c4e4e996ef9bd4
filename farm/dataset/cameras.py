"""The pinhole camera that all views share, and its description in transforms.json. Pure functions.

Pixel (column, row) has its centre at (column + 0.5, row + 0.5), so the principal point is the picture's centre.
A camera looks along -Z, +X is right and +Y up (OpenGL). The world is z-up, the subject's bounding sphere has radius 1
and is centred at the origin: instant-ngp, which scales by 0.33 and adds 0.5, gets it inside its unit cube.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from farm.dataset.depth import Range
from farm.scene.camera import Array
from farm.scene.views import focal

POINTS = "sparse_pc.ply"


def unproject(columns: Array, rows: Array, depths: Array, side: int, pose: Array) -> Array:
    """World points, shape (n, 3), of pixels with planar depths. `pose` is the view's 4x4 camera-to-world matrix."""
    across = (columns + 0.5 - side / 2) / focal(side)
    down = (rows + 0.5 - side / 2) / focal(side)
    seen = np.column_stack([across, -down, -np.ones_like(across)]) * depths[:, None]
    points: Array = seen @ pose[:3, :3].T + pose[:3, 3]
    return points


def project(points: Array, side: int, pose: Array) -> Array:
    """Pixels (columns and rows, the centre of the first at 0.5), shape (n, 2), of world points of shape (n, 3)."""
    seen = (points - pose[:3, 3]) @ pose[:3, :3]
    pixels: Array = focal(side) * np.column_stack([-seen[:, 0], seen[:, 1]]) / seen[:, 2:] + side / 2
    return pixels


def synthetic(names: Sequence[str], poses: Sequence[Array], side: int) -> dict[str, Any]:
    """The content of a transforms file as in the NeRF paper's synthetic scenes, whose readers append .png to names."""
    frames = [
        {"file_path": f"./{name}", "transform_matrix": pose.tolist()} for name, pose in zip(names, poses, strict=True)
    ]
    return {"camera_angle_x": angle_of_view(side), "frames": frames}


def angle_of_view(side: int) -> float:
    """The horizontal and vertical angle of view in radians."""
    return 2 * math.atan(side / 2 / focal(side))


def transforms(
    names: Sequence[str], poses: Sequence[Array], side: int, bounds: Range, parts: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """The content of transforms.json for these pictures and their 4x4 camera-to-world matrices.

    `parts` are the numbers of the views for train, val and test, if it is to say them.

    `white_transparent` makes instant-ngp read exact white as transparent; no surface is (view_files.darken_white).
    There is no `mask_path`, with which nerfstudio would not train the background, and no `depth_file_path`, because
    nerfstudio and instant-ngp only support depth as a multiple of the level, without a near plane.
    """
    angle = angle_of_view(side)
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
        "white_transparent": True,
        "depth_near": bounds.near,
        "depth_far": bounds.far,
        "ply_file_path": POINTS,
        **{f"{part}_filenames": [names[number] for number in numbers] for part, numbers in parts.items()},
        "frames": [
            {"file_path": name, "transform_matrix": pose.tolist()} for name, pose in zip(names, poses, strict=True)
        ],
    }
