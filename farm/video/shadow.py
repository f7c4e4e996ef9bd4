"""The ground's shadow in a frame: a baked map, projected from above into the camera's view."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from farm.scene import edges
from farm.scene.shot import ShadowMap
from farm.video.layers import Box

UPSAMPLING = 4  # per side, bicubic: the map's own pixels would show as facets in a large frame
MIN_OPACITY = 1 / 2048  # half a step of a 10-bit alpha: invisible

Matrix = NDArray[np.float64]
Opacity = NDArray[np.float32]


@dataclass(frozen=True)
class CastShadow:
    """A shadow in one frame, within `box`. `pixel_to_map` maps frame pixels to pixels of `opacities`."""

    frame: Box
    box: Box
    opacities: Image.Image
    pixel_to_map: Matrix
    reaches_behind: bool

    def opacity(self, part: Box) -> Opacity:
        """The opacities in [0, 1] of a part of the box: (height, width)."""
        pixel_to_map = self.pixel_to_map @ np.array([[1.0, 0.0, part.left], [0.0, 1.0, part.top], [0.0, 0.0, 1.0]])
        coefficients = (pixel_to_map / pixel_to_map[2, 2]).ravel()[:8].tolist()
        cast = self.opacities.transform(part.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR)
        opacity = np.asarray(cast) * edges.fade(*part, *self.frame.size)
        return np.where(in_front(pixel_to_map, *part.size), opacity, 0) if self.reaches_behind else opacity


class ShadowCaster:
    """Casts ground shadows into frames of one size. Reads a map once for all consecutive frames that share it."""

    def __init__(self, width: int, height: int) -> None:
        self._frame = Box(0, 0, width, height)
        self._read: tuple[ShadowMap, Image.Image, Box] | None = None

    def cast(self, shadow: ShadowMap, ground_to_pixel: tuple[float, ...]) -> CastShadow | None:
        """The shadow in a frame; None when it is outside."""
        fine, dark = self._upsampled(shadow)
        fine_to_map = np.diag([1 / UPSAMPLING, 1 / UPSAMPLING, 1])
        map_to_pixel = np.array(ground_to_pixel).reshape(3, 3) @ map_to_ground(shadow) @ fine_to_map
        outline = covered_box(map_to_pixel, dark)
        box = outline.intersection(self._frame) if outline else self._frame
        return box and CastShadow(self._frame, box, fine, np.linalg.inv(map_to_pixel), reaches_behind=outline is None)

    def _upsampled(self, shadow: ShadowMap) -> tuple[Image.Image, Box]:
        """The upsampled map, and the box of it that is not empty."""
        if self._read is None or self._read[0] != shadow:
            size = (shadow.size * UPSAMPLING, shadow.size * UPSAMPLING)
            smooth = Image.fromarray(np.load(shadow.path)).resize(size, Image.Resampling.BICUBIC)
            opacity = np.asarray(smooth).clip(0, 1)
            dark = Image.fromarray(opacity >= MIN_OPACITY).getbbox() or (0, 0, 0, 0)
            self._read = shadow, Image.fromarray(opacity), Box(*dark)
        return self._read[1:]


def map_to_ground(shadow: ShadowMap) -> Matrix:
    """The 3x3 matrix from shadow map pixels (x right, y down, centres at +0.5) to ground coordinates."""
    step = 2 * shadow.extent / shadow.size
    return np.array([[step, 0.0, -shadow.extent], [0.0, -step, shadow.extent], [0.0, 0.0, 1.0]])


def covered_box(map_to_pixel: Matrix, part: Box) -> Box | None:
    """The pixels that a part of the map covers, within and beyond the frame; None if it reaches behind the camera."""
    left, top, right, bottom = part
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]]) @ map_to_pixel.T
    if (corners[:, 2] <= 0).any():
        return None
    flat = corners[:, :2] / corners[:, 2:]
    left, top = np.floor(flat.min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil(flat.max(axis=0)).astype(int).tolist()
    return Box(left, top, right, bottom)


def in_front(pixel_to_map: Matrix, width: int, height: int) -> NDArray[np.bool_]:
    """Which pixels show the ground in front of the camera; those above the horizon map to ground behind it."""
    across, down = np.arange(width) + 0.5, np.arange(height) + 0.5
    row = pixel_to_map[2]
    return np.asarray(across * row[0] + (down * row[1] + row[2])[:, None] > 0)
