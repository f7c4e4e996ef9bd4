"""Read a .blend without Blender, which would load its linked libraries when opening it.

A .blend is a header and a sequence of blocks, each starting with its code and length, and may be compressed with
Zstandard as a whole. Each linked library is a block with the code "LI"; the last block is "ENDB".
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from farm.errors import BadTemplate

ZSTANDARD = b"\x28\xb5\x2f\xfd"
MAX_LIBRARY_BYTES = 64 * 1024  # of a library's block are searched for its path, which has 1024 bytes at most


def linked_libraries(path: Path) -> list[str]:
    """The paths of the .blend files that this one links to. Raises BadTemplate when it is not a complete .blend."""
    with path.open("rb") as file:
        compressed = file.read(4) == ZSTANDARD
        file.seek(0)
        content = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) if compressed else file
        try:
            return [_path_in(data) for code, data in _blocks(content) if code == b"LI\0\0"]
        except (EOFError, struct.error, zstandard.ZstdError) as error:
            raise BadTemplate(
                f"{path.name} is not a complete .blend of Blender 2.8 or later; if it is still being saved, try again"
            ) from error


def _blocks(file: BinaryIO | zstandard.ZstdDecompressionReader) -> Iterator[tuple[bytes, bytes]]:
    """Code and first bytes of every block. Raises EOFError when the file is truncated or not a .blend."""
    header = _read_exactly(file, 12)
    if header[:9] == b"BLENDER-v":  # 64 bits, little endian
        head = struct.Struct("<4si8x4x4x")
    elif header[:12] == b"BLENDER17-01":  # Blender 5's format, for blocks above 2 GiB
        _read_exactly(file, 5)
        head = struct.Struct("<4s4x8xq8x")
    else:
        raise EOFError
    while True:
        code, length = head.unpack(_read_exactly(file, head.size))
        if code == b"ENDB":
            return
        data = _read_exactly(file, min(length, MAX_LIBRARY_BYTES))
        _skip(file, length - len(data))
        yield code, data


def _read_exactly(file: BinaryIO | zstandard.ZstdDecompressionReader, size: int) -> bytes:
    """The next `size` bytes. Raises EOFError when there are fewer."""
    parts = []
    while size > 0:
        part = file.read(size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _skip(file: BinaryIO | zstandard.ZstdDecompressionReader, size: int) -> None:
    while size > 0:
        size -= len(_read_exactly(file, min(size, 1 << 20)))


def _path_in(library: bytes) -> str:
    names = re.findall(rb"[^\0-\x1f]+\.blend", library)
    return names[-1].decode(errors="replace") if names else "a library"
