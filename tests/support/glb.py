"""GLB containers, byte by byte, and the smallest valid models."""

import json
import struct
from typing import Any


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a container. `content` is expected to be padded to 4 bytes."""
    return struct.pack("<I4s", len(content), kind) + content


def json_chunk(document: object) -> bytes:
    """The JSON chunk of a document, or of JSON text that is already encoded."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return chunk(b"JSON", text + b" " * (-len(text) % 4))


def binary_chunk(content: bytes) -> bytes:
    return chunk(b"BIN\0", content)


def container(*chunks: bytes, magic: bytes = b"glTF", version: int = 2, length: int | None = None) -> bytes:
    """A GLB file of these chunks. `length` overrides the length in its header."""
    body = b"".join(chunks)
    return struct.pack("<4sII", magic, version, 12 + len(body) if length is None else length) + body


def glb(binary: bytes = b"", **document: Any) -> bytes:
    """A valid GLB with this buffer and these members of the document. Default: the smallest there is."""
    if not binary:
        return container(json_chunk({"asset": {"version": "2.0"}, **document}))
    binary += b"\0" * (-len(binary) % 4)
    buffers = [{"byteLength": len(binary)}]
    return container(json_chunk({"asset": {"version": "2.0"}, **document, "buffers": buffers}), binary_chunk(binary))


def gltf() -> bytes:
    """The smallest self-contained glTF."""
    return json.dumps({"asset": {"version": "2.0"}}).encode()
