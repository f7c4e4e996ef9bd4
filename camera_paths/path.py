"""What a camera path is: a pose for every normalised time, and the register of all paths by name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

COMMON = frozenset({"easing", "rotate_y", "zoom"})  # the options that every path reads


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
    def title(self) -> str:
        """What its file is headed with, such as "Hero spin"."""
        return self._head[0]

    @property
    def description(self) -> str:
        """What it shows, in a few words: the rest of its file's first line."""
        return self._head[1]

    @property
    def options(self) -> list[str]:
        """Its own options, by the names of its pose function's parameters: all but time and those of every path."""
        return [name for name in self._parameters[1:] if name not in COMMON]

    def poses(self, frames: int, **options: float | bool) -> list[Pose]:
        """One pose a frame. A looping path ends one step before its start, an entrance exactly at its end."""
        last = frames if self.loops else max(frames - 1, 1)
        return [self.pose(frame / last, **options) for frame in range(frames)]

    @property
    def _parameters(self) -> list[str]:
        return list(inspect.signature(self.pose).parameters)

    @property
    def _head(self) -> tuple[str, str]:
        module = inspect.getmodule(self.pose)
        title, _, description = ((module and module.__doc__) or "").partition("\n")[0].partition(": ")
        return title, description


PATHS: dict[str, CameraPath] = {}


def register(name: str, *, loops: bool) -> Callable[[Callable[..., Pose]], Callable[..., Pose]]:
    """Enter a pose function under the effect's public name.

    Raises ValueError when the name is taken, or when the function lacks an option that every path reads.
    """

    def enter(pose: Callable[..., Pose]) -> Callable[..., Pose]:
        if name in PATHS:
            raise ValueError(f'There are two camera paths named "{name}"')
        missing = COMMON.difference(inspect.signature(pose).parameters)
        if missing:
            raise ValueError(f'Camera path "{name}" must take {", ".join(sorted(missing))}')
        PATHS[name] = CameraPath(name, loops, pose)
        return pose

    return enter
