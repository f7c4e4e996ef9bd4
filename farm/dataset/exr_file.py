"""Write a depth map as an OpenEXR file, compressed without loss. Pure functions.

Layout: "OpenEXR File Layout", openexr.com/en/latest/OpenEXRFileLayout.html.
"""

import struct
import zlib

import numpy as np

from farm.dataset.depth import Depths
from farm.scene.exr import FLOAT, MAGIC

ZIP, BLOCK_ROWS = 3, 16  # the compression's number, and the rows that it compresses together
COMPRESSION_LEVEL = 4
CHANNEL = "Y"  # luminance: what readers of pictures take where there is one channel only


def encode(depths: Depths) -> bytes:
    """The file of depths of shape (height, width), as 32-bit floats in the channel Y."""
    height, width = depths.shape
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channel = CHANNEL.encode() + b"\0" + struct.pack("<i4B2i", FLOAT, 0, 0, 0, 0, 1, 1)
    header = MAGIC + struct.pack("<i", 2) + b"".join(
        name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
        for name, kind, value in (
            (b"channels", b"chlist", channel + b"\0"),
            (b"compression", b"compression", bytes([ZIP])),
            (b"dataWindow", b"box2i", box),
            (b"displayWindow", b"box2i", box),
            (b"lineOrder", b"lineOrder", b"\0"),
            (b"pixelAspectRatio", b"float", struct.pack("<f", 1)),
            (b"screenWindowCenter", b"v2f", struct.pack("<2f", 0, 0)),
            (b"screenWindowWidth", b"float", struct.pack("<f", 1)),
        )
    ) + b"\0"  # fmt: skip
    blocks = []
    for top in range(0, height, BLOCK_ROWS):
        content = _compressed(depths[top : top + BLOCK_ROWS].astype("<f4").tobytes())
        blocks.append(struct.pack("<2i", top, len(content)) + content)
    starts = len(header) + 8 * len(blocks) + np.cumsum([0, *map(len, blocks[:-1])])
    return header + starts.astype("<u8").tobytes() + b"".join(blocks)


def _compressed(rows: bytes) -> bytes:
    """A block: its bytes with even positions first, each less its predecessor, by zlib; as it is if that is longer."""
    plain = np.frombuffer(rows, np.uint8)
    ordered = np.concatenate([plain[::2], plain[1::2]])
    ordered[1:] = ordered[1:] - ordered[:-1] + np.uint8(128)
    packed = zlib.compress(ordered.tobytes(), COMPRESSION_LEVEL)
    return packed if len(packed) < len(rows) else rows
