"""Frames as the Blender host returns them, with synthetic layers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from farm.scene.camera import Lens, view
from farm.scene.shot import Frame, Layer, ShadowMap

WIDTH, HEIGHT = 96, 54
LENS = Lens.around_sphere(focal_length=85, elevation=12, margin=1.12, target=0.8, width=WIDTH, height=HEIGHT)
STEEP = Lens.around_sphere(focal_length=85, elevation=60, margin=1.12, target=0.3, width=WIDTH, height=HEIGHT)
DISC_COLOUR = np.array([0.85, 0.45, 0.1])
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


def disc(folder: Path, bits: int, number: int = 0) -> Frame:
    """An opaque disc with soft edges that moves over a soft shadow, in a frame of 160x90."""
    y, x = np.indices((61, 60)) + 0.5
    alpha = np.clip(27.5 - np.hypot(x - 30, y - 30), 0, 1)
    pixels = np.dstack([np.broadcast_to(DISC_COLOUR, (*alpha.shape, 3)) * (alpha > 0)[..., None], alpha]) * (
        2**bits - 1
    )
    subject = layer(folder, np.rint(pixels).astype(f"<u{bits // 8}"), (50 + number, 10))
    near = 1 - np.hypot(*np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64)))
    shadow = shadow_map(folder, (0.5 * np.clip(near, 0, 1)).astype(np.float32), extent=1.0)
    flat = (40.0, 0.0, 80.0, 0.0, -15.0, 68.0, 0.0, 0.0, 1.0)
    return Frame(number, bits, subject, None, shadow, flat)
