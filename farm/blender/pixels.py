"""Read the pictures that Blender writes into arrays, and write arrays as layers for the client. Uses no bpy."""

import errno
import itertools
import struct
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tifffile
from numpy.typing import NDArray

from farm.scene.shot import Layer

TGA_HEADER_BYTES = 18

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]


def read(path: Path) -> Pixels:
    """An uncompressed picture as Blender writes it: (height, width, 4), RGBA, rows top down, straight alpha.

    8 bits from a .tga, 16 from a .tif.
    """
    return read_tga(path) if path.suffix == ".tga" else read_tiff(path)


def read_tga(path: Path) -> NDArray[np.uint8]:
    """Pixels of an uncompressed 32-bit TGA. Raises OSError for a truncated one, as Blender reports no full disk."""
    data = path.read_bytes()
    try:
        width, height = struct.unpack_from("<2H", data, 12)
        rows = np.frombuffer(data, np.uint8, width * height * 4, TGA_HEADER_BYTES).reshape(height, width, 4)
    except (struct.error, ValueError) as error:
        raise OSError(errno.ENOSPC, "no room for the whole picture", str(path)) from error
    return np.ascontiguousarray(rows[::-1, :, [2, 1, 0, 3]])


def read_tiff(path: Path) -> NDArray[np.uint16]:
    """Pixels of a 16-bit RGBA TIFF. Blender premultiplies the colours there, alone among its integer formats."""
    pixels: NDArray[np.uint16] = tifffile.imread(path)
    alpha = pixels[..., 3:].astype(np.float32)
    colours = pixels[..., :3] * (65535 / np.maximum(alpha, 1))
    pixels[..., :3] = np.rint(np.minimum(colours, 65535))
    return pixels


def clear(height: int, width: int, bits: int) -> Pixels:
    """Fully transparent pixels."""
    shape = height, width, 4
    return np.zeros(shape, np.uint8) if bits == 8 else np.zeros(shape, np.uint16)


def write(pixels: Pixels, path: Path, left: int, top: int) -> Layer:
    """Write a layer whose top left pixel is at (left, top) of the full frame."""
    path.write_bytes(pixels.tobytes())  # tofile loses its last few kilobytes on a full disk and reports nothing
    return Layer(str(path), left, top, width=pixels.shape[1], height=pixels.shape[0])


def settle_edges(pixels: Pixels, painted: NDArray[Any]) -> None:
    """Give the silhouette's partly covered pixels the colour of the fully covered pixels near them, in place.

    The less of a pixel is covered, the less is known of its colour: its own counts as much as its alpha. Only pixels
    between empty and fully covered ones change; glass and thin wires keep their colours. A pixel that is covered but
    has no alpha in `painted` (the alpha of the colours' own render, shape (height, width)) has no colour of its own: it
    takes the mean of any painted pixels near it.
    """
    reach = 2  # pixels over which the pixel filter spreads an edge
    full = np.iinfo(pixels.dtype).max
    rows, columns = np.nonzero((pixels[..., 3] > 0) & ((pixels[..., 3] < full) | (painted == 0)))
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)))
    paint = np.pad(painted, reach)
    solid_mean, any_mean = (Mean(len(rows)) for _ in range(2))
    at_the_rim = np.zeros(len(rows), dtype=bool)
    for down, right in itertools.product(range(-reach, reach + 1), repeat=2):
        near = padded[rows + reach + down, columns + reach + right]
        near_paint = paint[rows + reach + down, columns + reach + right]
        closeness = 1 / (down * down + right * right or 1) ** 2
        solid_mean.add(near, ((near[:, 3] == full) & (near_paint == full)) * closeness)
        any_mean.add(near, near_paint / full * closeness)
        at_the_rim |= near[:, 3] == 0
    colours = pixels[rows, columns, :3].astype(np.float32)
    known = pixels[rows, columns, 3].astype(np.float32) / full
    bare = painted[rows, columns] == 0
    known[bare] = 0
    for mean, chosen in ((any_mean, bare), (solid_mean, at_the_rim | bare)):
        fixed = chosen & (mean.weight > 0)
        share = known[fixed, None]
        nearby = mean.total[fixed] / mean.weight[fixed, None]
        pixels[rows[fixed], columns[fixed], :3] = np.rint(share * colours[fixed] + (1 - share) * nearby)


class Mean:
    """Accumulates a weighted mean of colours for each of `count` pixels."""

    def __init__(self, count: int) -> None:
        self.total = np.zeros((count, 3), dtype=np.float32)
        self.weight = np.zeros(count, dtype=np.float32)

    def add(self, colours: Pixels, weight: NDArray[Any]) -> None:
        self.total += colours[:, :3] * weight[:, None].astype(np.float32)
        self.weight += weight.astype(np.float32)
