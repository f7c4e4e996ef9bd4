"""A camera path, which is a pose for every normalised time, and the registry of all paths."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass

NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
RESERVED = "dataset"  # an effect that is no camera path
COMMON = frozenset({"easing", "rotate_y", "zoom"})  # the options that every path reads


@dataclass(frozen=True)
class Pose:
    """The camera's position around the subject in one frame.

    `azimuth` in degrees, 0 faces the subject's front, positive moves the camera to its right (the subject
    appears to turn to its own right); `radius` multiplies the camera distance, which is fitted to the whole path;
    `scale` multiplies the subject's size about its foot on the ground (0 is invisible).
    """

    azimuth: float
    radius: float = 1.0
    scale: float = 1.0


@dataclass(frozen=True)
class CameraPath:
    """A named path. `pose` takes normalised time in [0, 1]; a looping path returns to its start at time 1."""

    name: str
    loops: bool
    pose: Callable[..., Pose]

    @property
    def title(self) -> str:
        """The title in the first line of its file, such as "Hero spin"."""
        return self._heading[0]

    @property
    def description(self) -> str:
        """A short description: the rest of the first line of its file."""
        return self._heading[1]

    @property
    def options(self) -> list[str]:
        """The names of its own options: the parameters of its pose function without time and COMMON."""
        return [name for name in self._parameters[1:] if name not in COMMON]

    def poses(self, frames: int, **options: float | bool) -> list[Pose]:
        """One pose per frame. A looping path ends one step before its start, any other exactly at time 1."""
        last = frames if self.loops else max(frames - 1, 1)
        return [self.pose(frame / last, **options) for frame in range(frames)]

    @property
    def _parameters(self) -> list[str]:
        return list(inspect.signature(self.pose).parameters)

    @property
    def _heading(self) -> tuple[str, str]:
        module = inspect.getmodule(self.pose)
        title, _, description = ((module and module.__doc__) or "").partition("\n")[0].partition(": ")
        return title, description


PATHS: dict[str, CameraPath] = {}


def register(name: str, *, loops: bool) -> Callable[[Callable[..., Pose]], Callable[..., Pose]]:
    """Register a pose function under the effect's public name.

    Raises ValueError when the name is invalid or taken, or when the function lacks an option that every path reads.
    """

    def add(pose: Callable[..., Pose]) -> Callable[..., Pose]:
        if not re.fullmatch(NAME, name) or name == RESERVED:
            raise ValueError(f'"{name}" cannot be a camera path: use lower-case words with hyphens, not "{RESERVED}"')
        if name in PATHS:
            raise ValueError(f'There are two camera paths named "{name}"')
        missing = COMMON.difference(inspect.signature(pose).parameters)
        if missing:
            raise ValueError(f'Camera path "{name}" must have the parameters {", ".join(sorted(missing))}')
        PATHS[name] = CameraPath(name, loops, pose)
        return pose

    return add
