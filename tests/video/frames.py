"""Frames as the Blender host hands them over, holding made-up layers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from farm.scene.camera import Lens, view
from farm.scene.shot import Frame, Layer, ShadowMap

WIDTH, HEIGHT = 96, 54
LENS = Lens(focal_length=85, elevation=12, margin=1.12, target=0.8, width=WIDTH, height=HEIGHT)
STEEP = Lens(focal_length=85, elevation=60, margin=1.12, target=0.3, width=WIDTH, height=HEIGHT)
CLEAR = np.zeros((1, 1, 4), dtype=np.uint8)

Samples = NDArray[np.uint8] | NDArray[np.uint16]


def layer(folder: Path, pixels: Samples, at: tuple[int, int] = (0, 0), name: str = "subject") -> Layer:
    """A layer of these RGBA pixels, of 8 or 16 bits, with its top left at x, y."""
    path = folder / f"{name}.rgba"
    pixels.tofile(path)
    height, width, _ = pixels.shape
    return Layer(str(path), *at, width, height)


def frame(
    folder: Path,
    subject: Samples = CLEAR,
    lens: Lens = LENS,
    *,
    at: tuple[int, int] = (0, 0),
    azimuth: float = 0,
    shadow: ShadowMap | None = None,
) -> Frame:
    """A frame whose subject has these RGBA pixels."""
    ground = tuple(view(lens, azimuth, 1.0).ground_to_pixel.ravel().tolist())
    return Frame(0, 8 * subject.itemsize, layer(folder, subject, at), None, shadow, ground)


def mirrored(drawn: Frame, folder: Path, pixels: Samples, at: tuple[int, int]) -> Frame:
    """The frame with a mirror image on the floor."""
    return replace(drawn, reflection=layer(folder, pixels, at, "reflection"))


def shadow_map(folder: Path, opacity: NDArray[np.float32], extent: float = 2.0) -> ShadowMap:
    """A baked shadow with these opacities."""
    path = folder / "shadow.npy"
    np.save(path, opacity)
    return ShadowMap(str(path), opacity.shape[0], extent)


def all_dark(folder: Path, extent: float = 20.0) -> ShadowMap:
    """A shadow of full opacity, as large as any frame of a STEEP lens."""
    return shadow_map(folder, np.ones((64, 64), dtype=np.float32), extent)
