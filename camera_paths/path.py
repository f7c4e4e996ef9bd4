"""What a camera path is: a pose for every normalised time, and the register of all paths by name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pose:
    """Where the camera stands around the subject at one moment.

    `azimuth` in degrees, 0 faces the subject's front, positive goes to the camera's right (the subject appears to turn
    to its own right); `radius` multiplies the fitted camera distance (1 fits the bounding sphere); `scale` multiplies
    the subject's size about the point where it stands (0 is not there at all).
    """

    azimuth: float
    radius: float = 1.0
    scale: float = 1.0


@dataclass(frozen=True)
class CameraPath:
    """A named path. `pose` takes normalised time in [0, 1]; a looping path comes back to its start at time 1."""

    name: str
    loops: bool
    pose: Callable[..., Pose]

    @property
    def options(self) -> set[str]:
        """What this path reads beside time, by the names of its pose function's parameters."""
        return set(list(inspect.signature(self.pose).parameters)[1:])

    def poses(self, frames: int, **options: float | bool) -> list[Pose]:
        """One pose a frame. A looping path ends one step before its start, an entrance exactly at its end."""
        last = frames if self.loops else max(frames - 1, 1)
        return [self.pose(frame / last, **options) for frame in range(frames)]


PATHS: dict[str, CameraPath] = {}


def register(name: str, *, loops: bool) -> Callable[[Callable[..., Pose]], Callable[..., Pose]]:
    """Enter a pose function under the effect's public name."""

    def enter(pose: Callable[..., Pose]) -> Callable[..., Pose]:
        PATHS[name] = CameraPath(name, loops, pose)
        return pose

    return enter
