"""The GLB container: a header and chunks, of which the first is JSON and the second may be binary."""

import json
import mmap
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from farm.errors import InvalidFormat
from farm.intake.json_paths import quoted_bytes

MAGIC = b"glTF"
MAX_CHUNKS = 64  # glTF defines two; more are legal, but thousands are an attack


@dataclass(frozen=True)
class Chunks:
    """The byte ranges of the JSON and of the binary chunk (None without one)."""

    json_start: int
    json_end: int
    binary: tuple[int, int] | None


def read_chunks(content: mmap.mmap) -> Chunks:
    """Find the chunks. Raises InvalidFormat: wrong header, lengths, alignment, order or types."""
    _check_header(content)
    chunks = _chunks(content)
    if not chunks or chunks[0][0] != b"JSON":
        raise InvalidFormat("The GLB's first chunk is not JSON: export the model again")
    _, start, end = chunks[0]
    for number, (kind, _, _) in enumerate(chunks[1:], 1):
        if kind == b"JSON":
            raise InvalidFormat("The GLB has more than one JSON chunk: export the model again")
        if kind == b"BIN\0" and number != 1:
            raise InvalidFormat(
                f"The GLB has a BIN chunk as chunk {number + 1}: only one is allowed, right after the JSON"
            )
    has_binary = len(chunks) > 1 and chunks[1][0] == b"BIN\0"
    return Chunks(start, end, chunks[1][1:] if has_binary else None)


def write(target: BinaryIO, document: dict[str, Any], pieces: Iterable[bytes | memoryview], size: int) -> None:
    """Write a GLB whose binary chunk is `pieces`, `size` bytes together, a multiple of 4; without the chunk if 0."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary_size = 8 + size if size else 0
    target.write(struct.pack("<4sII", MAGIC, 2, 20 + len(text) + binary_size))
    target.write(struct.pack("<I4s", len(text), b"JSON") + text)
    if size:
        target.write(struct.pack("<I4s", size, b"BIN\0"))
        target.writelines(pieces)


def _check_header(content: mmap.mmap) -> None:
    magic = content[:4]
    if magic != MAGIC:
        hint = (
            "it looks like a .gltf: rename it"
            if magic.lstrip()[:1] == b"{"
            else "export the model as GLB (glTF binary)"
        )
        raise InvalidFormat(
            f"The file is called .glb but does not start with 'glTF' (it starts with {quoted_bytes(magic)}): {hint}"
        )
    if len(content) < 12:
        raise InvalidFormat(f"The GLB ends inside its header, after {len(content)} bytes: upload it again")
    version, declared = struct.unpack("<II", content[4:12])
    if version != 2:
        raise InvalidFormat(f"The GLB is version {version}, only version 2 is supported: export it as glTF 2.0")
    if declared != len(content):
        raise InvalidFormat(
            f"The GLB's header declares {declared} bytes but the file has {len(content)}: it was truncated or changed "
            "in transit, so upload or export it again"
        )


def _chunks(content: mmap.mmap) -> list[tuple[bytes, int, int]]:
    """Type, start and end of every chunk."""
    chunks: list[tuple[bytes, int, int]] = []
    at, size = 12, len(content)
    while at < size:
        number = len(chunks) + 1
        if number > MAX_CHUNKS:
            raise InvalidFormat(f"The GLB has more than {MAX_CHUNKS} chunks: export the model again")
        if size - at < 8:
            raise InvalidFormat(
                f"The GLB's chunk {number} is truncated: its header needs 8 bytes, {size - at} are left"
            )
        length, kind = struct.unpack("<I4s", content[at : at + 8])
        if length > size - at - 8:
            raise InvalidFormat(
                f"The GLB's chunk {number} is truncated: it declares {length} bytes, {size - at - 8} are left"
            )
        if length % 4:
            raise InvalidFormat(
                f"The GLB's chunk {number} has {length} bytes: chunks must be padded to a multiple of 4"
            )
        chunks.append((kind, at + 8, at + 8 + length))
        at += 8 + length
    return chunks
