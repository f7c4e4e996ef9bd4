"""Where the cameras of a dataset stand: on a Fibonacci lattice, walked along a spiral. Pure functions."""

import math
from dataclasses import dataclass

import numpy as np

from farm.dataset.tiers import Coverage

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
WIDTH_OF_A_TURN = 1.5  # in the lattice's spacings; this gave the shortest steps from one view to the next


@dataclass(frozen=True)
class Direction:
    """Where a camera stands as seen from the subject, in degrees: azimuth as in farm.blender.camera, and elevation."""

    azimuth: float
    elevation: float


def directions(count: int, coverage: Coverage) -> list[Direction]:
    """`count` directions spread evenly over the upper hemisphere or the whole sphere, in the order of a spiral.

    The lattice is that of R. Swinbank and R. J. Purser, "Fibonacci grids" (2006): equal steps in height, the golden
    angle in azimuth. Heights are the middles of their steps, so none lies at a pole, where up and forward coincide. In
    the lattice's own order neighbours stand far apart; a spiral of about sqrt(count) turns visits them so that each
    step is shorter than two spacings. A hemisphere's rises from the horizon, a sphere's descends from the top.
    """
    numbers = np.arange(count)
    turned = numbers * GOLDEN_ANGLE % math.tau
    steps = (numbers + 0.5) / count
    if coverage == "hemisphere":
        elevation = np.arcsin(steps)
        travelled = elevation
        area = math.tau
    else:
        elevation = np.arcsin(1 - 2 * steps)
        travelled = math.pi / 2 - elevation
        area = 2 * math.tau
    part_of_turn = turned / math.tau
    turns = travelled / (WIDTH_OF_A_TURN * math.sqrt(area / count))
    along = np.maximum(np.round(turns - part_of_turn), 0) + part_of_turn
    order = np.argsort(along, kind="stable")
    return [Direction(math.degrees(turned[index]), math.degrees(elevation[index])) for index in order]
