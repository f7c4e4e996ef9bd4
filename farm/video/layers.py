"""Read the layers of a drawn frame, and compute the boxes that they cover."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from farm.scene.shot import Layer

Pixels = NDArray[np.uint8]
DeepPixels = NDArray[np.uint16]


class Box(NamedTuple):
    """A rectangle of pixels of the full frame; right and bottom are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def of(cls, layer: Layer) -> Self:
        """The layer's box in the full frame."""
        return cls(layer.x, layer.y, layer.x + layer.width, layer.y + layer.height)

    def intersection(self, other: "Box") -> "Box | None":
        """The part of both boxes; None when they do not overlap."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(left, top, right, bottom) if left < right and top < bottom else None

    @property
    def slices(self) -> tuple[slice, slice]:
        """For indexing an array of rows of pixels."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top


def bounding_box(boxes: list[Box]) -> Box:
    """The smallest box that holds all of these."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


def read(layer: Layer, bits: int) -> Pixels:
    """The layer in 8 bits, straight alpha: (height, width, 4)."""
    if bits == 16:
        return to_8_bits(read_deep(layer, bits))
    return np.fromfile(layer.path, dtype=np.uint8).reshape(layer.height, layer.width, 4)


def read_deep(layer: Layer, bits: int) -> DeepPixels:
    """The layer in 16 bits, straight alpha: (height, width, 4)."""
    if bits == 8:
        return read(layer, bits).astype(np.uint16) * np.uint16(257)
    return np.fromfile(layer.path, dtype="<u2").reshape(layer.height, layer.width, 4)


def to_8_bits(deep: DeepPixels) -> Pixels:
    """Every sample divided by 257, rounded to nearest."""
    return ((deep.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)  # exact, without a division
