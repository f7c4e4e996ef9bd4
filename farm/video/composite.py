"""Putting a drawn frame together over a background: the ground's shadow, the mirror image, the subject.

Everything happens on display values, where the background colour is exact and artists expect blending to happen.
"""

import numpy as np
from PIL import Image

from farm.shot import Frame
from farm.video.layers import Box, Pixels, around, read
from farm.video.shadow import Opacity, ShadowCaster
from farm.video.vignette import Vignette


class Compositor:
    """Composites the frames of one shot over one background picture, which has the frames' size.

    Only the part that a frame's layers touch is computed; the rest is there already.
    """

    def __init__(self, background: Image.Image, vignette: float) -> None:
        self._background = background
        self._shadows = ShadowCaster(*background.size)
        self._vignette = Vignette(*background.size, vignette) if vignette else None
        self._touched = Box(0, 0, *background.size)
        self._empty = self._finish(background, self._touched)
        self._picture = self._empty.copy()

    def over(self, frame: Frame) -> Pixels:
        """The finished picture of a frame, shape (height, width, 3). The next call writes over it."""
        self._picture[self._touched.slices] = self._empty[self._touched.slices]
        shadow = self._shadows.cast(frame.shadow, frame.ground_to_pixel) if frame.shadow else None
        layers = [layer for layer in (frame.reflection, frame.subject) if layer]
        self._touched = around([Box.of(layer) for layer in layers] + ([shadow[0]] if shadow else []))
        part = self._background.crop(self._touched)
        left, top, _, _ = self._touched
        if shadow:
            box, opacity = shadow
            part.paste((0, 0, 0), (box.left - left, box.top - top), mask(opacity))
        for layer in layers:
            pixels = Image.fromarray(read(layer, frame.bits))
            part.paste(pixels, (layer.x - left, layer.y - top), pixels)
        self._picture[self._touched.slices] = self._finish(part, self._touched)
        return self._picture

    def _finish(self, part: Image.Image, box: Box) -> Pixels:
        if self._vignette is None:
            return np.asarray(part)
        pixels = np.array(part)
        self._vignette.darken(pixels, box)
        return pixels


def mask(opacity: Opacity) -> Image.Image:
    """Opacities in [0, 1] as 8 bits, rounded to nearest."""
    return Image.fromarray((opacity * 255 + 0.5).astype(np.uint8))
