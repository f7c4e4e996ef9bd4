"""Framing: the camera's distance and height from which a subject fills the frame over a whole path. Pure functions.

Azimuth and radius of a pose follow from the camera path, the elevation from the template; the distance and the height
of the point that the camera looks at are the only free variables, and are the same in all frames.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from camera_paths import Pose
from farm.scene.camera import Array, Lens, view

HULL_DIRECTIONS = 512  # the extents of the points that are extreme in one of these are at most 0.3 % too small
POINTS_PER_BLOCK = 1 << 15  # bounds the memory of `hull`
# The contact shadow lies below the surface that is nearer to the ground than this, and reaches as far beyond it; in
# radii of the bounding sphere.
CONTACT_HEIGHT, CONTACT_REACH = 0.1, 0.04
MAX_ITERATIONS, TOLERANCE = 100, 1e-4
MIN_DEPTH = 1.1  # times the distance at which the subject would touch the camera


def hull(points: Array) -> Array:
    """The points of shape (n, 3) that are farthest in one of HULL_DIRECTIONS directions; nearly their convex hull."""
    number = np.arange(HULL_DIRECTIONS) + 0.5
    height, turn = 1 - 2 * number / HULL_DIRECTIONS, number * math.pi * (1 + math.sqrt(5))
    across = np.sqrt(1 - height**2)
    directions = np.column_stack([across * np.cos(turn), across * np.sin(turn), height])
    farthest = np.full(HULL_DIRECTIONS, -np.inf)
    chosen = np.zeros(HULL_DIRECTIONS, dtype=np.int64)
    for start in range(0, len(points), POINTS_PER_BLOCK):
        reach = points[start : start + POINTS_PER_BLOCK] @ directions.T
        best = reach.argmax(axis=0)
        value = reach[best, np.arange(HULL_DIRECTIONS)]
        chosen = np.where(value > farthest, start + best, chosen)
        farthest = np.maximum(farthest, value)
    extreme: Array = points[np.unique(chosen)]
    return extreme


def fit(lens: Lens, points: Array, path: Sequence[Pose], *, margin: float, shadow: bool) -> Lens:
    """The lens with the distance and target at which the subject fills the frame, and no frame of `path` crops it.

    `points` of shape (n, 3) are the subject's surface at full size, its bounding sphere of radius 1; `lens` has a
    distance from which the whole sphere is visible. Over all poses together the subject takes 1 / `margin` of the
    frame's width or height, whichever limits it, and is centred vertically. With `shadow` the contact shadow at its
    foot lies inside the frame, too, even if the subject is then a little smaller.
    """
    footprint = _footprint(points) if shadow else points[:0]
    closest = min(pose.radius for pose in path)
    lens = replace(lens, distance=lens.distance / closest)
    for _ in range(MAX_ITERATIONS):
        left, top, right, bottom = _extent(lens, points, path)
        offset = (top + bottom) / 2 - lens.height / 2
        # Raising the target by dz moves the picture down by dz * cos(elevation) / distance of the focal length; the
        # nearest point in the closest pose moves most.
        reach = _reach(lens, points, path)
        scale = (lens.distance - reach) * closest / lens.pixels_per_unit
        target = lens.target - 0.5 * offset * scale / math.cos(math.radians(lens.elevation))
        share = margin * max(_sides(lens, left, right), (bottom - top) / lens.height)
        if len(footprint):
            left, top, right, bottom = _extent(lens, footprint, path)
            half = max(top - offset - lens.height / 2, bottom - offset - lens.height / 2, key=abs)
            share = max(share, _sides(lens, left, right), 2 * abs(half) / lens.height)
        if abs(share - 1) < TOLERANCE and abs(offset) < TOLERANCE * lens.height:
            break
        lens = replace(lens, target=target)
        # The nearest point grows with 1 / (distance - reach), others more slowly: half a step keeps it from swinging.
        distance = reach + (lens.distance - reach) * math.sqrt(share)
        lens = replace(lens, distance=max(distance, MIN_DEPTH * reach))
    return lens


def _reach(lens: Lens, points: Array, path: Sequence[Pose]) -> float:
    """The distance at which the nearest point touches the camera in one of the poses."""
    reach = 0.0
    for pose in path:
        back = view(lens, pose.azimuth, pose.radius).axes[:, 2]
        nearest = ((points * pose.scale - [0.0, 0.0, lens.target]) @ back).max()
        reach = max(reach, float(nearest) / pose.radius)
    return reach


def _sides(lens: Lens, left: float, right: float) -> float:
    """The share of the frame's width that is taken symmetrically around its middle."""
    middle = lens.width / 2
    return max(middle - left, right - middle) / middle


def _extent(lens: Lens, points: Array, path: Sequence[Pose]) -> tuple[float, float, float, float]:
    """The box that the points cover over all poses of the path: left, top, right, bottom in pixels."""
    pixels = np.concatenate(
        [view(lens, pose.azimuth, pose.radius).pixels(points * pose.scale) for pose in path if pose.scale > 0]
    )
    left, top = pixels.min(axis=0)
    right, bottom = pixels.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _footprint(points: Array) -> Array:
    """The outline of the contact shadow: the lowest points projected onto the ground, and moved outwards."""
    flat = points[points[:, 2] <= CONTACT_HEIGHT] * np.array([1.0, 1.0, 0.0])
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    grown: Array = flat * (1 + CONTACT_REACH / np.maximum(length, 1e-9))
    return grown
