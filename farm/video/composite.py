"""Composite a drawn frame over a background: the ground's shadow, the mirror image, the subject, a foreground.

Blending works on display values, as artists expect, which keeps the background colour exact.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from farm.scene.shot import Frame
from farm.video.layers import Box, Pixels, bounding_box, read
from farm.video.shadow import CastShadow, Opacity, ShadowCaster
from farm.video.vignette import Vignette

STRIP_ROWS = 32  # so that intermediate results fit the processor's cache


class Compositor:
    """Composites the frames of one shot over one background picture, which has the frames' size.

    `foreground`, RGBA of the same size, lies over the finished frames, the vignette included.

    Only the part that a frame's layers touch is computed; the rest is precomputed.
    """

    def __init__(self, background: Image.Image, vignette: float, foreground: Image.Image | None = None) -> None:
        self._background, self._foreground = background, foreground
        self._shadows = ShadowCaster(*background.size)
        self._vignette = Vignette(*background.size, vignette) if vignette else None
        self._touched = Box(0, 0, *background.size)
        self._empty = self._finish(background.copy(), self._touched)
        self._picture = self._empty.copy()

    def over(self, frame: Frame) -> Pixels:
        """The finished picture of a frame, shape (height, width, 3). Overwritten by the next call."""
        self._picture[self._touched.slices] = self._empty[self._touched.slices]
        shadow = self._shadows.cast(frame.shadow, frame.ground_to_pixel) if frame.shadow else None
        layers = [(Box.of(layer), read(layer, frame.bits)) for layer in (frame.reflection, frame.subject) if layer]
        boxes = [box for box, _ in layers] + ([shadow.box] if shadow else [])
        self._touched = bounding_box(boxes)
        for strip in strips(self._touched):
            if parts := [part for box in boxes if (part := box.intersection(strip))]:
                self._composite(bounding_box(parts), shadow, layers)
        return self._picture

    def _composite(self, box: Box, shadow: CastShadow | None, layers: list[tuple[Box, Pixels]]) -> None:
        part = self._background.crop(box)
        if shadow and (overlap := shadow.box.intersection(box)):
            part.paste((0, 0, 0), (overlap.left - box.left, overlap.top - box.top), mask(shadow.opacity(overlap)))
        for layer_box, pixels in layers:
            if overlap := layer_box.intersection(box):
                image = Image.fromarray(pixels[overlap.top - layer_box.top : overlap.bottom - layer_box.top])
                part.paste(image, (overlap.left - box.left, overlap.top - box.top), image)
        self._picture[box.slices] = self._finish(part, box)

    def _finish(self, part: Image.Image, box: Box) -> Pixels:
        if self._vignette:
            pixels = np.array(part)
            self._vignette.darken(pixels, box)
            part = Image.fromarray(pixels)
        if self._foreground:
            above = self._foreground.crop(box)
            part.paste(above, mask=above)
        return np.asarray(part)


def strips(box: Box) -> Iterator[Box]:
    """The box in strips of STRIP_ROWS rows."""
    for top in range(box.top, box.bottom, STRIP_ROWS):
        yield box._replace(top=top, bottom=min(top + STRIP_ROWS, box.bottom))


def mask(opacity: Opacity) -> Image.Image:
    """Opacities in [0, 1] as 8 bits, rounded to nearest."""
    return Image.fromarray((opacity * 255 + 0.5).astype(np.uint8))
