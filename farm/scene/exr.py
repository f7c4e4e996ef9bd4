"""Read Blender's multilayer OpenEXR files with numpy alone: no bpy, no rounding, no colour management.

Layout: "OpenEXR File Layout", openexr.com/en/latest/OpenEXRFileLayout.html.
"""

import errno
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAGIC = b"v/1\x01"
FLOAT = 2  # the pixel type of 32-bit floats


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """The channels of an uncompressed 32-bit file by name without the layer's prefix, such as "Depth.Z".

    Each has the shape (height, width), rows top down. Raises ValueError for any other kind of EXR, and OSError for a
    truncated one, as Blender reports no full disk.
    """
    data = path.read_bytes()
    try:
        attributes, start = _header(data)
    except IndexError as error:
        raise _no_room(path) from error
    names = _channels(attributes["channels"])
    if attributes["compression"] != b"\0":
        raise ValueError(f"{path.name} is compressed")
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    # After a table of offsets come the rows: each is its y, its size, and then all channels, one after the other.
    words, start = 2 + len(names) * width, start + 8 * height
    if len(data) < start + 4 * words * height:
        raise _no_room(path)
    rows = np.frombuffer(data, "<f4", words * height, start).reshape(height, words)
    if (rows[:, 0].view("<i4") != np.arange(top, bottom + 1)).any():
        raise ValueError(f"{path.name} has its rows in another order")
    channels = rows[:, 2:].reshape(height, len(names), width)
    return {name.partition(".")[2]: channels[:, index] for index, name in enumerate(names)}


def _no_room(path: Path) -> OSError:
    return OSError(errno.ENOSPC, "no room for the whole picture", str(path))


def _header(data: bytes) -> tuple[dict[str, bytes], int]:
    """The attributes by name, and the offset of their end."""
    if data[:4] != MAGIC[: len(data)]:
        raise ValueError("not an OpenEXR file")
    attributes, at = {}, 8
    while data[at]:
        name, at = _text(data, at)
        _, at = _text(data, at)
        size = int.from_bytes(data[at : at + 4], "little")
        attributes[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return attributes, at + 1


def _channels(listed: bytes) -> list[str]:
    names, at = [], 0
    while listed[at]:
        name, at = _text(listed, at)
        if int.from_bytes(listed[at : at + 4], "little") != FLOAT:
            raise ValueError(f"the channel {name} is not of 32-bit floats")
        names.append(name)
        at += 16  # skips its pixel type, linearity and x and y sampling
    return names


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A zero-terminated text, and the offset after it. Raises IndexError if it does not end."""
    end = data.find(b"\0", at)
    if end < 0:
        raise IndexError(at)
    return data[at:end].decode(), end + 1
