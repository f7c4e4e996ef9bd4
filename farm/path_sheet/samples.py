"""Numbered samples of a camera path, and the format of their angles."""

from dataclasses import dataclass

from camera_paths import Pose


@dataclass(frozen=True)
class Sample:
    """A numbered sample of a path: the normalised time `t` in [0, 1], and the pose at that time."""

    number: int
    t: float
    pose: Pose


def degrees(angle: float) -> str:
    """An angle as text, in whole degrees."""
    return f"{round(angle)}°"
