"""A sample of a movement that the sheet numbers, and how its angle is written."""

from dataclasses import dataclass

from camera_paths import Pose


@dataclass(frozen=True)
class Sample:
    """A numbered sample: `t` in [0, 1] and the pose then."""

    number: int
    t: float
    pose: Pose


def degrees(angle: float) -> str:
    """An angle as a person writes it, in whole degrees."""
    return f"{round(angle)}°"
