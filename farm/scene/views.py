"""The cameras of a dataset: poses on a Fibonacci lattice, along a spiral, and their lens. Pure functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farm.scene.camera import SENSOR_MM, Array, Lens, View, view
from farm.tiers import Coverage

FOCAL_LENGTH_MM = 50.0  # the field of view of the NeRF paper's synthetic scenes, 0.691 radians
MARGIN = 1.05  # room around the bounding sphere; 1 touches the picture's edge
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
ELEVATIONS: dict[Coverage, tuple[float, float]] = {"hemisphere": (0.0, 90.0), "sphere": (-90.0, 90.0)}  # degrees
TURN_WIDTH = 1.5  # in lattice spacings; measured to give the shortest steps between consecutive views


@dataclass(frozen=True)
class Direction:
    """A camera's direction from the subject, in degrees: azimuth as in farm.scene.camera, and elevation."""

    azimuth: float
    elevation: float


def directions(count: int, coverage: Coverage, elevations: Sequence[float] | None = None) -> list[Direction]:
    """`count` directions spread evenly over the upper hemisphere or the whole sphere, in the order of a spiral.

    `elevations` are the lowest and the highest, in degrees, if they are to be in a part of it.

    The lattice is from R. Swinbank and R. J. Purser, "Fibonacci grids" (2006): equal steps in height, the golden angle
    in azimuth. Heights are the middles of their steps, so none lies at a pole, where up and forward coincide. In the
    lattice's own order consecutive directions are far apart; a spiral of about sqrt(count) turns visits them so that
    each step is shorter than two spacings. A hemisphere's rises from the horizon, a sphere's descends from the top.
    """
    lowest, highest = (math.sin(math.radians(each)) for each in elevations or ELEVATIONS[coverage])
    first, last = (lowest, highest) if coverage == "hemisphere" else (highest, lowest)
    start = math.asin(first)
    turn_width = TURN_WIDTH * math.sqrt((highest - lowest) * math.tau / count)
    lattice = []
    for number in range(count):
        elevation = math.asin(first + (last - first) * (number + 0.5) / count)
        azimuth = number * GOLDEN_ANGLE % math.tau
        part_of_turn, turns = azimuth / math.tau, abs(elevation - start) / turn_width
        along = max(round(turns - part_of_turn), 0) + part_of_turn
        lattice.append((along, Direction(math.degrees(azimuth), math.degrees(elevation))))
    return [direction for _, direction in sorted(lattice, key=lambda each: each[0])]


def focal(side: int) -> float:
    """The focal length in pixels of a picture `side` pixels wide and high."""
    return FOCAL_LENGTH_MM / SENSOR_MM * side


def pose(direction: Direction, side: int, distance: float | None = None) -> Array:
    """A view's 4x4 camera-to-world matrix in the dataset's world, in OpenGL's axes: it looks at the origin.

    `distance` is that from the origin, in the bounding sphere's radii; without it the sphere just fits the picture.
    """
    lens = Lens.around_sphere(FOCAL_LENGTH_MM, direction.elevation, MARGIN, 0.0, side, side)
    seen = view(lens, direction.azimuth, radius=distance / lens.distance if distance else 1.0)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = seen.axes, seen.position
    return matrix


def rigid(matrix: Sequence[Sequence[float]]) -> Array:
    """The rigid 4x4 matrix nearest to one that is so but for its rounding."""
    nearest = np.array(matrix, dtype=np.float64)
    left, _, right = np.linalg.svd(nearest[:3, :3])
    nearest[:3, :3] = left @ right
    return nearest


def camera(pose: Array, side: int, target: float) -> View:
    """The camera of a view in the scene. `target` is the height of the bounding sphere's centre there."""
    position, back = pose[:3, 3], pose[:3, 2]
    elevation = math.degrees(math.asin(min(max(back[2], -1.0), 1.0)))
    lens = Lens(FOCAL_LENGTH_MM, elevation, float(np.linalg.norm(position)), target, side, side)
    return View(lens, position + np.array([0.0, 0.0, target]), pose[:3, :3])
