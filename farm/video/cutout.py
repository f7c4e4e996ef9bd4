"""Putting a drawn frame together over nothing: straight-alpha RGBA in 16 bits, for editors to lay over what they like.

The soft shadow is black with opacity; the mirror image and the subject lie over it.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from farm.scene.shot import Frame
from farm.video.layers import Box, DeepPixels, around, read_deep
from farm.video.shadow import ShadowCaster
from farm.video.vignette import Vignette

Sample = TypeVar("Sample", bound=np.generic)

FULL = 65535
LEAST = 32  # half a step of the 10-bit alpha that ProRes is given: less than that is nothing
BLOCK = 8  # pixels a side of what ProRes transforms at once


class Cutout:
    """Cuts out the frames of one shot."""

    def __init__(self, width: int, height: int, vignette: float) -> None:
        self._shadows = ShadowCaster(width, height)
        self._vignette = Vignette(width, height, vignette) if vignette else None
        # Whole blocks, of which the frame is the top left part.
        self._whole = np.zeros((-(-height // BLOCK) * BLOCK, -(-width // BLOCK) * BLOCK, 4), dtype=np.uint16)
        self._pixels = self._whole[:height, :width]
        self._touched = Box(0, 0, 0, 0)

    def of(self, frame: Frame) -> DeepPixels:
        """The finished cut-out of a frame, shape (height, width, 4). The next call writes over it.

        Colours go on for some pixels where alpha is 0, so that an encoder's blur at an edge brings in no other colour.
        """
        self._whole[self._touched.slices] = 0
        boxes = []
        if frame.shadow and (shadow := self._shadows.cast(frame.shadow, frame.ground_to_pixel)):
            self._pixels[shadow.box.slices][..., 3] = shadow.opacity(shadow.box) * FULL + 0.5
            boxes.append(shadow.box)
        for layer in (frame.reflection, frame.subject):
            if layer:
                box = Box.of(layer)
                lay_over(self._pixels[box.slices], read_deep(layer, frame.bits))
                boxes.append(box)
        box = around(boxes)
        if self._vignette:
            self._vignette.darken_deep(self._pixels[box.slices], box)
        self._touched = self._with_blocks_around(box)
        continue_colours(self._whole[self._touched.slices])
        return self._pixels

    def _with_blocks_around(self, box: Box) -> Box:
        height, width, _ = self._whole.shape
        return Box(
            max(box.left // BLOCK - 1, 0) * BLOCK,
            max(box.top // BLOCK - 1, 0) * BLOCK,
            min((-(-box.right // BLOCK) + 1) * BLOCK, width),
            min((-(-box.bottom // BLOCK) + 1) * BLOCK, height),
        )


def lay_over(below: DeepPixels, above: DeepPixels) -> None:
    """Lay straight-alpha RGBA over straight-alpha RGBA of the same size, in place: Porter and Duff's "over"."""
    alpha = above[..., 3]
    visible = alpha > 0
    as_it_is = (alpha == FULL) | (visible & (below[..., 3] == 0))
    # A pixel of four samples is one number of 64 bits: copied at once.
    np.copyto(below.view(np.uint64), above.view(np.uint64), where=as_it_is[..., None])
    mixed = np.nonzero(visible & ~as_it_is)
    top, bottom = above[mixed].astype(np.float32), below[mixed].astype(np.float32)
    covering = top[:, 3:] / FULL
    showing = (1 - covering) * bottom[:, 3:] / FULL
    total = covering + showing
    colours = (top[:, :3] * covering + bottom[:, :3] * showing) / total
    below[mixed] = np.rint(np.hstack([colours, total * FULL]))


def continue_colours(pixels: DeepPixels) -> None:
    """Give the clear pixels next to visible ones the colour that is visible there, in place.

    An alpha below LEAST is clear. Height and width are whole blocks. In the encoder's every block clear pixels take the
    mean of the visible ones, and a clear block that of the blocks around it: the block is then as even as can be (as
    MPEG-4 pads its shapes before it transforms them; ISO/IEC 14496-2).
    """
    height, width, _ = pixels.shape
    blocks = pixels.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 4).swapaxes(1, 2)
    alpha = pixels[..., 3].copy()
    np.copyto(pixels.view(np.uint64), 0, where=(alpha < LEAST)[..., None])
    alpha[alpha < LEAST] = 0
    some, all_ = of_blocks(np.maximum, alpha) > 0, of_blocks(np.minimum, alpha) > 0
    rim = some & (beside(~some) | ~all_)
    means = np.zeros((*some.shape, 3), dtype=np.float32)
    seen = blocks[rim]
    weights = seen[..., 3:].astype(np.float32)
    means[rim] = (seen[..., :3] * weights).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))
    outside = ~some & beside(some)
    neighbours = np.sum(shifted(rim.astype(np.float32)), axis=0)[outside]
    means[outside] = np.sum(shifted(means), axis=0)[outside] / neighbours[:, None]
    fill = (some & ~all_) | outside
    filled = blocks[fill]
    np.copyto(filled[..., :3], np.rint(means[fill])[:, None, None].astype(np.uint16), where=filled[..., 3:] == 0)
    blocks[fill] = filled


def of_blocks(choose: np.ufunc, samples: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The largest or the smallest sample of every block."""
    height, width = samples.shape
    # Down first, then across: whole rows at a time are several times as fast.
    columns = choose.reduce(samples.reshape(height // BLOCK, BLOCK, width), axis=1)
    return np.asarray(choose.reduce(columns.reshape(height // BLOCK, width // BLOCK, BLOCK), axis=2))


def beside(grid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which cells have one that is true among the eight around them."""
    return np.asarray(np.logical_or.reduce(shifted(grid)))


def shifted(grid: NDArray[Sample]) -> list[NDArray[Sample]]:
    """The grid's eight neighbours for every cell; beyond the border lies 0."""
    rows, columns = grid.shape[:2]
    padded = np.pad(grid, [(1, 1), (1, 1)] + [(0, 0)] * (grid.ndim - 2))
    return [padded[1 + y :, 1 + x :][:rows, :columns] for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
