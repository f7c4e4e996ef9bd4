"""Composite a drawn frame without a background: straight-alpha RGBA in 16 bits, for use in video editors.

The soft shadow is black with opacity; the mirror image and the subject are composited over it.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from farm.scene.shot import Frame
from farm.video.layers import Box, DeepPixels, bounding_box, read_deep
from farm.video.shadow import ShadowCaster
from farm.video.vignette import Vignette

Sample = TypeVar("Sample", bound=np.generic)

OPAQUE = 65535
MIN_ALPHA = 32  # half a step of ProRes's 10-bit alpha: pixels below are fully transparent
BLOCK = 8  # pixels per side of the blocks that ProRes transforms


class Cutout:
    """Cuts out the frames of one shot. `foreground`, RGBA of the frames' size, lies over them, with its alpha."""

    def __init__(self, width: int, height: int, vignette: float, foreground: Image.Image | None = None) -> None:
        self._shadows = ShadowCaster(width, height)
        self._vignette = Vignette(width, height, vignette) if vignette else None
        # Padded to whole blocks; the frame is the top left part.
        self._whole = np.zeros((-(-height // BLOCK) * BLOCK, -(-width // BLOCK) * BLOCK, 4), dtype=np.uint16)
        self._pixels = self._whole[:height, :width]
        self._foreground_box = Box(*((foreground and foreground.getchannel("A").getbbox()) or (0, 0, 0, 0)))
        self._foreground = None
        if foreground and (part := foreground.crop(self._foreground_box)).size != (0, 0):
            self._foreground = np.asarray(part).astype(np.uint16) * np.uint16(257)
        self._touched = Box(0, 0, 0, 0)

    def of(self, frame: Frame) -> DeepPixels:
        """The finished cut-out of a frame, shape (height, width, 4). Overwritten by the next call.

        Colours extend some pixels into areas of alpha 0, so that an encoder's blur at an edge adds no other colour.
        """
        self._whole[self._touched.slices] = 0
        boxes = []
        if frame.shadow and (shadow := self._shadows.cast(frame.shadow, frame.ground_to_pixel)):
            self._pixels[shadow.box.slices][..., 3] = shadow.opacity(shadow.box) * OPAQUE + 0.5
            boxes.append(shadow.box)
        for layer in (frame.reflection, frame.subject):
            if layer:
                box = Box.of(layer)
                composite_over(self._pixels[box.slices], read_deep(layer, frame.bits))
                boxes.append(box)
        box = bounding_box(boxes)
        if self._vignette:
            self._vignette.darken_deep(self._pixels[box.slices], box)
        if self._foreground is not None:
            composite_over(self._pixels[self._foreground_box.slices], self._foreground)
            box = bounding_box([box, self._foreground_box])
        self._touched = self._with_blocks_bounding_box(box)
        extend_colours(self._whole[self._touched.slices])
        return self._pixels

    def _with_blocks_bounding_box(self, box: Box) -> Box:
        height, width, _ = self._whole.shape
        return Box(
            max(box.left // BLOCK - 1, 0) * BLOCK,
            max(box.top // BLOCK - 1, 0) * BLOCK,
            min((-(-box.right // BLOCK) + 1) * BLOCK, width),
            min((-(-box.bottom // BLOCK) + 1) * BLOCK, height),
        )


def composite_over(below: DeepPixels, above: DeepPixels) -> None:
    """Composite straight-alpha RGBA over straight-alpha RGBA of the same size, in place: Porter and Duff's "over"."""
    alpha = above[..., 3]
    visible = alpha > 0
    copied = (alpha == OPAQUE) | (visible & (below[..., 3] == 0))
    # A pixel of four samples is copied as one number of 64 bits.
    np.copyto(below.view(np.uint64), above.view(np.uint64), where=copied[..., None])
    mixed = np.nonzero(visible & ~copied)
    top, bottom = above[mixed].astype(np.float32), below[mixed].astype(np.float32)
    covering = top[:, 3:] / OPAQUE
    showing = (1 - covering) * bottom[:, 3:] / OPAQUE
    total = covering + showing
    colours = (top[:, :3] * covering + bottom[:, :3] * showing) / total
    below[mixed] = np.rint(np.hstack([colours, total * OPAQUE]))


def extend_colours(pixels: DeepPixels) -> None:
    """Give transparent pixels next to visible ones the visible colour, in place.

    Pixels with an alpha below MIN_ALPHA are transparent. Height and width are whole blocks. In each of the encoder's
    blocks, transparent pixels get the mean colour of the visible ones; a transparent block gets that of the blocks
    around it. This makes blocks as even as possible (as MPEG-4 pads its shapes before the transform; ISO/IEC 14496-2).
    """
    height, width, _ = pixels.shape
    blocks = pixels.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 4).swapaxes(1, 2)
    alpha = pixels[..., 3].copy()
    np.copyto(pixels.view(np.uint64), 0, where=(alpha < MIN_ALPHA)[..., None])
    alpha[alpha < MIN_ALPHA] = 0
    some, all_ = reduce_blocks(np.maximum, alpha) > 0, reduce_blocks(np.minimum, alpha) > 0
    rim = some & (has_neighbour(~some) | ~all_)
    means = np.zeros((*some.shape, 3), dtype=np.float32)
    seen = blocks[rim]
    weights = seen[..., 3:].astype(np.float32)
    means[rim] = (seen[..., :3] * weights).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))
    outside = ~some & has_neighbour(some)
    counts = np.sum(neighbours_of(rim.astype(np.float32)), axis=0)[outside]
    means[outside] = np.sum(neighbours_of(means), axis=0)[outside] / counts[:, None]
    fill = (some & ~all_) | outside
    filled = blocks[fill]
    np.copyto(filled[..., :3], np.rint(means[fill])[:, None, None].astype(np.uint16), where=filled[..., 3:] == 0)
    blocks[fill] = filled


def reduce_blocks(choose: np.ufunc, samples: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Reduce every block to one sample by `choose`, np.maximum or np.minimum."""
    height, width = samples.shape
    # Down first, then across: whole rows at a time are several times as fast.
    columns = choose.reduce(samples.reshape(height // BLOCK, BLOCK, width), axis=1)
    return np.asarray(choose.reduce(columns.reshape(height // BLOCK, width // BLOCK, BLOCK), axis=2))


def has_neighbour(grid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which cells have a true cell among their eight neighbours."""
    return np.asarray(np.logical_or.reduce(neighbours_of(grid)))


def neighbours_of(grid: NDArray[Sample]) -> list[NDArray[Sample]]:
    """The eight neighbours of every cell, as eight grids; beyond the border they are 0."""
    rows, columns = grid.shape[:2]
    padded = np.pad(grid, [(1, 1), (1, 1)] + [(0, 0)] * (grid.ndim - 2))
    return [padded[1 + y :, 1 + x :][:rows, :columns] for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
