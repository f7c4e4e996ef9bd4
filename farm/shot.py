"""A shot: everything that decides the pixels Blender draws, as plain data that crosses the Blender host's socket."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Engine = Literal["cycles", "eevee"]


@dataclass(frozen=True)
class Shot:
    """What Blender draws, apart from where the camera stands (that comes with each frame).

    `template` names a file in blender_scenes; `width` and `height` are pixels of the whole frame; `samples` is the
    engine's samples a pixel; `shadows` asks for the ground shadow.
    """

    model_path: str
    template: str
    width: int
    height: int
    samples: int
    engine: Engine
    shadows: bool

    def to_wire(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Frame:
    """One drawn frame on tmpfs: the subject alone, cropped, with where it and the ground's shadow belong.

    `path` is a raw file of height x width x 4 bytes, rows top down, RGBA, straight alpha, display-referred (sRGB,
    after the view transform). `x`, `y` is its top left pixel in the full frame. `ground_to_pixel` is the 3x3
    homography, row-major, from ground coordinates (x, y in scene units on z = 0) to full-frame pixels (x right, y down,
    pixel centres at +0.5).
    """

    number: int
    path: str
    x: int
    y: int
    width: int
    height: int
    ground_to_pixel: tuple[float, ...]


@dataclass(frozen=True)
class ShadowMap:
    """The ground's baked shadow, seen from above: `path` is a .npy of size x size float32 opacities in [0, 1].

    It covers the square from (-extent, -extent) to (extent, extent) of the ground, in scene units; row 0 lies at
    y = +extent.
    """

    path: str
    size: int
    extent: float
