"""A dataset's cameras as a client sends them: 4x4 camera-to-world matrices, or the transforms.json of an earlier set.

The world and the axes are those of docs/datasets.md. Pure functions, without numpy, which the API does without.
"""

import math
from typing import Any

Matrix = list[list[float]]

MAX_CAMERAS = 1000
MIN_DISTANCE, MAX_DISTANCE = 1.05, 60.0  # from the origin; the model is in the sphere of radius 1 around it
MAX_ERROR = 1e-4  # of a rotation's products: files have five digits or more
HALF_VIEW = math.atan(18 / 50)  # the lens: 50 mm before 36 mm
MAX_LENS_ERROR = 1e-4  # radians

MATRIX_SCHEMA = {
    "type": "array",
    "minItems": 4,
    "maxItems": 4,
    "items": {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number"}},
}
SCHEMA = {
    "anyOf": [
        {"type": "array", "minItems": 1, "maxItems": MAX_CAMERAS, "items": MATRIX_SCHEMA},
        {
            "type": "object",
            "required": ["frames"],
            "properties": {
                "frames": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_CAMERAS,
                    "items": {
                        "type": "object",
                        "required": ["transform_matrix"],
                        "properties": {"transform_matrix": MATRIX_SCHEMA},
                    },
                }
            },
        },
        {"type": "null"},
    ]
}


def count(cameras: Any) -> int | None:
    """The number of cameras in a value that is not checked yet; None if it has no cameras."""
    listed = cameras.get("frames") if isinstance(cameras, dict) else cameras
    return len(listed) if isinstance(listed, list) else None


def from_transforms(cameras: Any) -> Any:
    """The matrices of a transforms.json; anything else as it is. Not checked yet."""
    if not isinstance(cameras, dict) or not isinstance(frames := cameras.get("frames"), list):
        return cameras
    return [frame.get("transform_matrix") if isinstance(frame, dict) else frame for frame in frames]


def lens_problem(cameras: Any) -> str | None:
    """Why a transforms.json, not checked yet, has another lens than datasets have; None if it has not."""
    angle = cameras.get("camera_angle_x") if isinstance(cameras, dict) else None
    lens, error = 2 * HALF_VIEW, 2 * MAX_LENS_ERROR
    if isinstance(angle, int | float) and not lens - error <= angle <= lens + error:
        return f"cameras.camera_angle_x must be {lens:.4f}, the lens of all datasets"
    return None


def problem(cameras: list[Matrix]) -> str | None:
    """The first thing that is wrong with these cameras, which begins with its name; None if there is none."""
    for number, matrix in enumerate(cameras):
        if found := _problem(matrix):
            return f"cameras[{number}] {found}"
    return None


def _problem(matrix: Matrix) -> str | None:
    *columns, position = ([row[column] for row in matrix[:3]] for column in range(4))
    products = [[_dot(one, other) for other in columns] for one in columns]
    errors = [abs(products[row][column] - (row == column)) for row in range(3) for column in range(3)]
    if matrix[3] != [0, 0, 0, 1] or not max(errors) <= MAX_ERROR or _dot(_cross(*columns[:2]), columns[2]) < 0:
        return "is not rigid: it must be a rotation and a position, above the row 0, 0, 0, 1"
    distance = math.hypot(*position)
    if not MIN_DISTANCE <= distance <= MAX_DISTANCE:
        return f"is {distance:g} from the origin, but must be {MIN_DISTANCE:g} to {MAX_DISTANCE:g}"
    right, up, back = (_dot(axis, position) for axis in columns)  # the camera, seen from the origin in its own axes
    outside = max(abs(right), abs(up)) * math.cos(HALF_VIEW) - back * math.sin(HALF_VIEW)
    if back <= 0 or outside > 1:
        return "looks away from the model: the sphere of radius 1 around the origin is not in its view along -Z"
    return None


def _dot(one: list[float], other: list[float]) -> float:
    return sum(left * right for left, right in zip(one, other, strict=True))


def _cross(one: list[float], other: list[float]) -> list[float]:
    return [one[at - 2] * other[at - 1] - one[at - 1] * other[at - 2] for at in range(3)]
