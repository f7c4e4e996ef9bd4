"""What a .blend holds, seen without Blender: opening it there would already load the libraries that it links to.

A .blend is a header and a row of blocks, each with a head that tells its code and its length. All of it may be packed
with Zstandard. Blender writes every linked library as a block with the code "LI"; the last block is "ENDB".
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from farm.errors import BadTemplate

ZSTANDARD = b"\x28\xb5\x2f\xfd"
MAX_LIBRARY_BYTES = 64 * 1024  # bytes of a library's block that are searched for its path, which has 1024 at most


def linked_libraries(path: Path) -> list[str]:
    """The paths of the .blend files that this one links to. Raises BadTemplate when it is no whole .blend."""
    with path.open("rb") as file:
        packed = file.read(4) == ZSTANDARD
        file.seek(0)
        content = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) if packed else file
        try:
            return [_path_in(data) for code, data in _blocks(content) if code == b"LI\0\0"]
        except (EOFError, struct.error, zstandard.ZstdError) as error:
            raise BadTemplate(f"{path.name} is not a whole .blend of Blender 2.8 or later, or not saved yet") from error


def _blocks(file: BinaryIO | zstandard.ZstdDecompressionReader) -> Iterator[tuple[bytes, bytes]]:
    """Code and first bytes of every block. Raises EOFError when the file ends before its end or never was a .blend."""
    start = _exactly(file, 12)
    if start[:9] == b"BLENDER-v":  # 64 bits, little endian
        head = struct.Struct("<4si8x4x4x")
    elif start[:12] == b"BLENDER17-01":  # blocks of more than 2 GiB, as Blender 5 writes them
        _exactly(file, 5)
        head = struct.Struct("<4s4x8xq8x")
    else:
        raise EOFError
    while True:
        code, length = head.unpack(_exactly(file, head.size))
        if code == b"ENDB":
            return
        data = _exactly(file, min(length, MAX_LIBRARY_BYTES))
        _skip(file, length - len(data))
        yield code, data


def _exactly(file: BinaryIO | zstandard.ZstdDecompressionReader, size: int) -> bytes:
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
        size -= len(_exactly(file, min(size, 1 << 20)))


def _path_in(library: bytes) -> str:
    names = re.findall(rb"[^\0-\x1f]+\.blend", library)
    return names[-1].decode(errors="replace") if names else "a library"
