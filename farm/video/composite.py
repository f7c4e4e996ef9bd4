"""Putting a drawn frame together over a background: the ground's shadow, the mirror image, the subject.

Everything happens on display values, where the background colour is exact and artists expect blending to happen.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from farm.scene.shot import Frame
from farm.video.layers import Box, Pixels, around, read
from farm.video.shadow import CastShadow, Opacity, ShadowCaster
from farm.video.vignette import Vignette

AT_ONCE = 32  # rows; what is computed in between then stays in the processor's cache


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
        layers = [(Box.of(layer), read(layer, frame.bits)) for layer in (frame.reflection, frame.subject) if layer]
        boxes = [box for box, _ in layers] + ([shadow.box] if shadow else [])
        self._touched = around(boxes)
        for strip in strips(self._touched):
            if parts := [part for box in boxes if (part := box.meet(strip))]:
                self._draw(around(parts), shadow, layers)
        return self._picture

    def _draw(self, box: Box, shadow: CastShadow | None, layers: list[tuple[Box, Pixels]]) -> None:
        part = self._background.crop(box)
        if shadow and (seen := shadow.box.meet(box)):
            part.paste((0, 0, 0), (seen.left - box.left, seen.top - box.top), mask(shadow.opacity(seen)))
        for where, pixels in layers:
            if seen := where.meet(box):
                image = Image.fromarray(pixels[seen.top - where.top : seen.bottom - where.top])
                part.paste(image, (seen.left - box.left, seen.top - box.top), image)
        self._picture[box.slices] = self._finish(part, box)

    def _finish(self, part: Image.Image, box: Box) -> Pixels:
        if self._vignette is None:
            return np.asarray(part)
        pixels = np.array(part)
        self._vignette.darken(pixels, box)
        return pixels


def strips(box: Box) -> Iterator[Box]:
    """The box in pieces of a few rows."""
    for top in range(box.top, box.bottom, AT_ONCE):
        yield box._replace(top=top, bottom=min(top + AT_ONCE, box.bottom))


def mask(opacity: Opacity) -> Image.Image:
    """Opacities in [0, 1] as 8 bits, rounded to nearest."""
    return Image.fromarray((opacity * 255 + 0.5).astype(np.uint8))
