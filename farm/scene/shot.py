"""A shot: everything that determines the pixels Blender draws, as plain data that crosses the host's socket."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

# What draws a shot, and on which device: EEVEE on a GPU (by OpenGL), Cycles on the CPU, or Cycles on a GPU.
Engine = Literal["eevee", "cycles", "cycles-optix", "cycles-cuda", "cycles-hip"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
# Cycles' name of the back end by which each of these draws on a GPU.
BACK_ENDS: dict[Engine, str] = {"cycles-optix": "OPTIX", "cycles-cuda": "CUDA", "cycles-hip": "HIP"}

FULL_TURN = tuple((float(azimuth), 1.0, 1.0) for azimuth in range(0, 360, 5))


@dataclass(frozen=True)
class ShotSetup:
    """All settings of a shot but the camera's pose, which comes with each frame.

    `template` is the path of a .blend; `width` and `height` are pixels of the whole frame; `samples` is the engine's
    samples per pixel; `shadows` enables the ground shadow, `reflector` the floor's mirror image; `bits` is 8 or 16, of
    every colour and alpha sample. A `draft`, such as a preview, takes less time for guides and denoising.

    `animation` is the clip that plays in a loop at `animation_speed` times its own speed ("*": the file's first clip);
    `fps` is the rate of frame numbers. `roll_z`, `tilt_x` and `pan_x` rotate the model in degrees, in this order, about
    its axes towards the viewer, to the right and upwards. `path` samples the camera path that the camera's distance is
    fitted to: azimuth, radius and scale of poses as in camera_paths.Pose.
    """

    model_path: str
    template: str
    width: int
    height: int
    samples: int
    engine: Engine
    shadows: bool
    reflector: bool = False
    bits: int = 8
    draft: bool = False
    animation: str | None = None
    animation_speed: float = 1.0
    fps: int = 30
    tilt_x: int = 0
    pan_x: int = 0
    roll_z: int = 0
    path: tuple[tuple[float, float, float], ...] = FULL_TURN

    def to_wire(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ShadowMap:
    """The ground's baked shadow, seen from above: `path` is a .npy of size x size float32 opacities in [0, 1].

    It covers the square from (-extent, -extent) to (extent, extent) of the ground, in scene units; row 0 lies at
    y = +extent.
    """

    path: str
    size: int
    extent: float


@dataclass(frozen=True)
class Layer:
    """A part of a frame as a raw file on tmpfs: height x width x 4 samples, rows top down, RGBA, straight alpha.

    Samples are display-referred (sRGB, after the view transform), with the frame's `bits`, 16-bit ones little endian.
    `x`, `y` is the layer's top left pixel in the full frame.
    """

    path: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Frame:
    """One drawn frame: its layers, each cropped to its content, and the projection of the ground.

    From bottom to top: `shadow` on the ground, the floor's mirror image `reflection` (faded already), the `subject`.
    All frames of a static subject share one shadow. `ground_to_pixel` is the 3x3 homography, row-major, from ground
    coordinates (x, y in scene units on z = 0) to full-frame pixels (x right, y down, pixel centres at +0.5).
    """

    number: int
    bits: int
    subject: Layer
    reflection: Layer | None
    shadow: ShadowMap | None
    ground_to_pixel: tuple[float, ...]

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """From the JSON of a frame's `asdict`."""
        return cls(
            number=wire["number"],
            bits=wire["bits"],
            subject=Layer(**wire["subject"]),
            reflection=Layer(**wire["reflection"]) if wire["reflection"] else None,
            shadow=ShadowMap(**wire["shadow"]) if wire["shadow"] else None,
            ground_to_pixel=tuple(wire["ground_to_pixel"]),
        )
