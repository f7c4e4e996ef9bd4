"""The contract of a camera path: documented, finite, in range, continuous, and closed or ending at the front."""

import math
from itertools import pairwise

from camera_paths.path import CameraPath, Pose

STEPS = 600
# A path may turn three times, go from farthest to nearest and grow from nothing, each at three times its mean speed.
MAX_TURN_DEGREES = 3 * 1080 / STEPS
MAX_RADIUS_CHANGE = 3 * 6 / STEPS
MAX_SCALE_CHANGE = 3 / STEPS
TOLERANCE = 1e-6


def find_problem(path: CameraPath, **options: float | bool) -> str | None:
    """The first violation of the contract with these options (default: the path's own), in words; None without any."""
    if not path.title or not path.description:
        return "the first line of its file must be a docstring: a title, a colon and a short description"
    poses = []
    for step in range(STEPS + 1):
        t = step / STEPS
        try:
            pose = path.pose(t, **options)
        except TimeoutError:  # the time limit of loading
            raise
        except Exception as error:
            return f"it fails at time {t:.3g}: {type(error).__name__}: {error}"
        if problem := _out_of_range(pose):
            return f"{problem} at time {t:.3g}"
        poses.append(pose)
    for step, (before, after) in enumerate(pairwise(poses)):
        if problem := _jump(before, after):
            return f"{problem} at time {(step + 1) / STEPS:.3g}"
    return _wrong_end(path, poses[0], poses[-1], float(options.get("rotate_y", 0.0)))


def _out_of_range(pose: object) -> str | None:
    if not isinstance(pose, Pose):
        return f"it returns {type(pose).__name__}, not a Pose"
    for field, value in vars(pose).items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            return f"its {field} is {value}, not a finite number"
    if pose.radius <= 0:
        return f"its radius is {pose.radius:.3g}, but must be above 0"
    if not -TOLERANCE <= pose.scale <= 1 + TOLERANCE:
        return f"its scale is {pose.scale:.3g}, but must be from 0 to 1"
    return None


def _jump(before: Pose, after: Pose) -> str | None:
    limits = {"azimuth": MAX_TURN_DEGREES, "radius": MAX_RADIUS_CHANGE, "scale": MAX_SCALE_CHANGE}
    for field, limit in limits.items():
        first, second = getattr(before, field), getattr(after, field)
        if abs(second - first) > limit + TOLERANCE:
            return f"its {field} jumps from {first:.4g} to {second:.4g}"
    return None


def _wrong_end(path: CameraPath, first: Pose, last: Pose, front: float) -> str | None:
    if path.loops:
        same = math.isclose(first.radius, last.radius, abs_tol=TOLERANCE) and math.isclose(
            first.scale, last.scale, abs_tol=TOLERANCE
        )
        if not same or _apart(first.azimuth, last.azimuth) > TOLERANCE:
            return f"it says that it loops, but starts at {_words(first)} and ends at {_words(last)}"
    elif _apart(last.azimuth, front) > TOLERANCE or last.scale < 1 - TOLERANCE:
        return f"it does not loop, so it must end at azimuth {front:g} and scale 1, but ends at {_words(last)}"
    return None


def _apart(one: float, other: float) -> float:
    """Degrees between two directions."""
    return abs((one - other + 180) % 360 - 180)


def _words(pose: Pose) -> str:
    return f"azimuth {pose.azimuth:.4g}, radius {pose.radius:.4g}, scale {pose.scale:.4g}"
