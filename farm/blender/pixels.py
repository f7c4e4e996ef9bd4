"""Pictures that Blender has written, as arrays; and arrays as the layers that a client reads. numpy alone, no bpy."""

import itertools
from pathlib import Path
from typing import TypeAlias

import numpy as np
import tifffile
from numpy.typing import NDArray

from farm.shot import Layer

TGA_HEADER = 18

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]


def read(path: Path) -> Pixels:
    """An uncompressed picture as Blender writes it: (height, width, 4), RGBA, rows top down, straight alpha.

    8 bits from a .tga, 16 from a .tif.
    """
    return read_tga(path) if path.suffix == ".tga" else read_tiff(path)


def read_tga(path: Path) -> NDArray[np.uint8]:
    """Pixels of an uncompressed 32-bit TGA."""
    data = np.fromfile(path, dtype=np.uint8)
    width, height = (int(data[at]) | int(data[at + 1]) << 8 for at in (12, 14))
    rows = data[TGA_HEADER : TGA_HEADER + width * height * 4].reshape(height, width, 4)
    return np.ascontiguousarray(rows[::-1, :, [2, 1, 0, 3]])


def read_tiff(path: Path) -> NDArray[np.uint16]:
    """Pixels of a 16-bit RGBA TIFF. Blender premultiplies the colours there, alone among its integer formats."""
    pixels: NDArray[np.uint16] = tifffile.imread(path)
    alpha = pixels[..., 3:].astype(np.float32)
    colours = pixels[..., :3] * (65535 / np.maximum(alpha, 1))
    pixels[..., :3] = np.rint(np.minimum(colours, 65535))
    return pixels


def clear(height: int, width: int, bits: int) -> Pixels:
    """Pixels that show nothing."""
    shape = height, width, 4
    return np.zeros(shape, np.uint8) if bits == 8 else np.zeros(shape, np.uint16)


def write(pixels: Pixels, path: Path, left: int, top: int) -> Layer:
    """A layer whose top left pixel belongs at (left, top) of the full frame."""
    pixels.tofile(path)
    return Layer(str(path), left, top, width=pixels.shape[1], height=pixels.shape[0])


def settle_edges(pixels: Pixels) -> None:
    """Give the silhouette's half-covered pixels the colour of the whole ones beside them, in place.

    Colours are denoised and alpha is not, so straight colours at the edge come out too dark or too bright by chance:
    a fringe. Only pixels between empty and fully covered ones change; glass and thin wires keep their colours.
    """
    reach = 2  # pixels over which the pixel filter spreads an edge
    full = np.iinfo(pixels.dtype).max
    rows, columns = np.nonzero((pixels[..., 3] > 0) & (pixels[..., 3] < full))
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)))
    total = np.zeros((len(rows), 3), dtype=np.float32)
    weight = np.zeros(len(rows), dtype=np.float32)
    at_the_rim = np.zeros(len(rows), dtype=bool)
    for down, right in itertools.product(range(-reach, reach + 1), repeat=2):
        near = padded[rows + reach + down, columns + reach + right]
        closeness = np.where(near[:, 3] == full, 1 / (down * down + right * right or 1) ** 2, 0.0).astype(np.float32)
        total += near[:, :3] * closeness[:, None]
        weight += closeness
        at_the_rim |= near[:, 3] == 0
    mend = at_the_rim & (weight > 0)
    pixels[rows[mend], columns[mend], :3] = np.rint(total[mend] / weight[mend, None])
