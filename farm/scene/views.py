"""The cameras of a dataset: directions on a Fibonacci lattice, along a spiral, and their lens. Pure functions."""

import math
from dataclasses import dataclass

from farm.scene.camera import SENSOR_MM, Lens, View, view
from farm.tiers import Coverage

FOCAL_LENGTH_MM = 50.0  # the field of view of the NeRF paper's synthetic scenes, 0.691 radians
MARGIN = 1.05  # room around the bounding sphere; 1 touches the picture's edge
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
TURN_WIDTH = 1.5  # in lattice spacings; measured to give the shortest steps between consecutive views


@dataclass(frozen=True)
class Direction:
    """A camera's direction from the subject, in degrees: azimuth as in farm.scene.camera, and elevation."""

    azimuth: float
    elevation: float


def directions(count: int, coverage: Coverage) -> list[Direction]:
    """`count` directions spread evenly over the upper hemisphere or the whole sphere, in the order of a spiral.

    The lattice is from R. Swinbank and R. J. Purser, "Fibonacci grids" (2006): equal steps in height, the golden angle
    in azimuth. Heights are the middles of their steps, so none lies at a pole, where up and forward coincide. In the
    lattice's own order consecutive directions are far apart; a spiral of about sqrt(count) turns visits them so that
    each step is shorter than two spacings. A hemisphere's rises from the horizon, a sphere's descends from the top.
    """
    heights = [(number + 0.5) / count for number in range(count)]
    if coverage == "hemisphere":
        elevations, start, area = [math.asin(height) for height in heights], 0.0, math.tau
    else:
        elevations, start, area = [math.asin(1 - 2 * height) for height in heights], math.pi / 2, 2 * math.tau
    turn_width = TURN_WIDTH * math.sqrt(area / count)
    lattice = []
    for number, elevation in enumerate(elevations):
        azimuth = number * GOLDEN_ANGLE % math.tau
        part_of_turn, turns = azimuth / math.tau, abs(elevation - start) / turn_width
        along = max(round(turns - part_of_turn), 0) + part_of_turn
        lattice.append((along, Direction(math.degrees(azimuth), math.degrees(elevation))))
    return [direction for _, direction in sorted(lattice, key=lambda each: each[0])]


def focal(side: int) -> float:
    """The focal length in pixels of a picture `side` pixels wide and high."""
    return FOCAL_LENGTH_MM / SENSOR_MM * side


def camera(direction: Direction, side: int, target: float = 0.0) -> View:
    """The camera of a view. `target` is the height of the bounding sphere's centre, 0 in the dataset's own world."""
    return view(
        Lens.around_sphere(FOCAL_LENGTH_MM, direction.elevation, MARGIN, target, side, side),
        direction.azimuth,
        radius=1.0,
    )
