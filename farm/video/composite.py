"""Putting a drawn frame together: background, the ground's shadow, the subject. numpy in, numpy out.

Everything happens on display values, where the background colour is exact and artists expect blending to happen.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from farm.shot import Frame, ShadowMap

Pixels = NDArray[np.uint8]
Opacity = NDArray[np.float32]
STEPS = 4096  # finer than any 8-bit colour's own steps


class Compositor:
    """Composites the frames of one shot over one background colour."""

    def __init__(self, width: int, height: int, background: tuple[int, int, int]) -> None:
        self.empty = np.full((height, width, 3), background, dtype=np.uint8)
        self.background = np.array(background, dtype=np.uint8)
        self._opacity: tuple[ShadowMap, Image.Image] | None = None

    def over(self, frame: Frame) -> Pixels:
        """The finished picture of a frame, shape (height, width, 3)."""
        picture = self.empty.copy()
        if frame.shadow:
            self._darken(picture, frame.shadow, np.array(frame.ground_to_pixel).reshape(3, 3))
        layer = frame.subject
        subject = np.fromfile(layer.path, dtype=np.uint8).reshape(layer.height, layer.width, 4)
        lay_over(picture[layer.y : layer.y + layer.height, layer.x : layer.x + layer.width], subject)
        return picture

    def _darken(self, picture: Pixels, shadow: ShadowMap, ground_to_pixel: NDArray[np.float64]) -> None:
        height, width, _ = picture.shape
        map_to_pixel = ground_to_pixel @ map_to_ground(shadow)
        left, top, right, bottom = covered(map_to_pixel, shadow.size, width, height)
        if left >= right or top >= bottom:
            return
        pixel_to_map = np.linalg.inv(map_to_pixel) @ np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])
        coefficients = (pixel_to_map / pixel_to_map[2, 2]).ravel()[:8].tolist()
        opacity = np.asarray(
            self._opacities(shadow).transform(
                (right - left, bottom - top), Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR
            )
        )
        part = picture[top:bottom, left:right]
        part[:] = shade(opacity, self.background)

    def _opacities(self, shadow: ShadowMap) -> Image.Image:
        """A shadow map, read once for all following frames that share it."""
        if self._opacity is None or self._opacity[0] != shadow:
            self._opacity = shadow, Image.fromarray(np.load(shadow.path))
        return self._opacity[1]


def shade(opacity: Opacity, background: Pixels) -> Pixels:
    """The background colour darkened by `opacity` (height, width): (height, width, 3)."""
    # A table of the colour under every step of opacity is quicker than sums for every pixel.
    table: Pixels = np.rint(np.linspace(1, 0, STEPS + 1)[:, None] * background).astype(np.uint8)
    shaded: Pixels = table.take(np.rint(np.clip(opacity, 0, 1) * STEPS).astype(np.intp), axis=0)
    return shaded


def lay_over(picture: Pixels, subject: Pixels) -> None:
    """Blend straight-alpha RGBA over RGB of the same height and width, in place, rounding to nearest."""
    below, above = Image.fromarray(picture), Image.fromarray(subject)
    below.paste(above, mask=above)
    picture[:] = np.asarray(below)


def map_to_ground(shadow: ShadowMap) -> NDArray[np.float64]:
    """The 3x3 matrix from shadow map pixels (x right, y down, centres at +0.5) to ground coordinates."""
    step = 2 * shadow.extent / shadow.size
    return np.array([[step, 0.0, -shadow.extent], [0.0, -step, shadow.extent], [0.0, 0.0, 1.0]])


def covered(map_to_pixel: NDArray[np.float64], size: int, width: int, height: int) -> tuple[int, int, int, int]:
    """The part of the frame that the map's square covers: left, top, right, bottom, right and bottom excluded.

    A square that reaches behind the camera has no outline in the frame; then it is the whole frame.
    """
    corners = np.array([[0, 0, 1], [size, 0, 1], [size, size, 1], [0, size, 1]], dtype=np.float64) @ map_to_pixel.T
    if (corners[:, 2] <= 0).any():
        return 0, 0, width, height
    flat = corners[:, :2] / corners[:, 2:]
    left, top = np.floor(flat.min(axis=0)).astype(int)
    right, bottom = np.ceil(flat.max(axis=0)).astype(int)
    return max(int(left), 0), max(int(top), 0), min(int(right), width), min(int(bottom), height)
