"""The vignette: darkens pictures smoothly towards their corners."""

import numpy as np
from numpy.typing import NDArray

from farm.video.layers import Box, DeepPixels, Pixels

ONE = 1 << 15  # factors are whole numbers of 15 bits, so that products fit into 32
STRIP_ROWS = 64  # so that intermediate results fit the processor's cache


class Vignette:
    """Darkens parts of frames of one size.

    With r the distance from the middle, 0 there and 1 in the corners, measured along ellipses of the frame's shape,
    colours are multiplied by 1 - intensity * r^2 * (3 - 2r): unchanged in the middle, black in the corners at
    intensity 1, smooth in between.
    """

    def __init__(self, width: int, height: int, intensity: float) -> None:
        across = np.arange(1 - width, width, 2, dtype=np.float32) / width
        down = np.arange(1 - height, height, 2, dtype=np.float32) / height
        r = np.hypot(across, down[:, None]) / np.float32(2**0.5)
        self._factor = np.rint((1 - intensity * r * r * (3 - 2 * r)) * ONE).astype(np.uint16)
        self._noise = dither(width, height)

    def darken(self, pixels: Pixels, box: Box) -> None:
        """Darken 8-bit RGB in place: the part of the frame in `box`.

        Rounding is dithered, identically in every frame, to avoid visible bands.
        """
        self._multiply(pixels, box, self._noise[box.slices])

    def darken_deep(self, pixels: DeepPixels, box: Box) -> None:
        """Darken the colours of 16-bit RGBA in place, rounding to nearest: steps this fine need no dither."""
        self._multiply(pixels[..., :3], box, np.full((box.bottom - box.top, 1), ONE // 2, dtype=np.uint16))

    def _multiply(self, pixels: Pixels | DeepPixels, box: Box, rounding: NDArray[np.uint16]) -> None:
        factor = self._factor[box.slices]
        for top in range(0, len(pixels), STRIP_ROWS):
            rows = slice(top, top + STRIP_ROWS)
            for channel in range(3):
                part = pixels[rows, :, channel]
                part[:] = (part.astype(np.uint32) * factor[rows] + rounding[rows]) >> 15


def dither(width: int, height: int) -> NDArray[np.uint16]:
    """Noise of 15 bits, evenly spread in every small neighbourhood.

    Interleaved gradient noise: Jorge Jimenez, "Next Generation Post Processing in Call of Duty", SIGGRAPH 2014.
    """
    x, y = np.arange(width), np.arange(height)[:, None]
    return (52.9829189 * ((0.06711056 * x + 0.00583715 * y) % 1) % 1 * ONE).astype(np.uint16)
