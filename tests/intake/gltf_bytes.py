"""Builds glTF files byte by byte, the wrong ones too: one textured triangle with a skin, an animation and a camera."""

import base64
import copy
import json
import re
import struct
import tempfile
from pathlib import Path
from typing import Any

import pytest

from farm.errors import InvalidFormat
from farm.intake.check import check_model
from tests.support.glb import binary_chunk, container, json_chunk

Document = dict[str, Any]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
# Three positions, three indices (and two bytes of padding), one matrix, two times, two translations.
BINARY = (
    struct.pack("<9f3H2x", 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 2)
    + struct.pack("<16f", *(float(i % 5 == 0) for i in range(16)))
    + struct.pack("<2f6f", 0, 1, 0, 0, 0, 0, 1, 0)
)

_TRIANGLE: Document = {
    "asset": {"version": "2.0", "generator": "by hand"},
    "scene": 0,
    "scenes": [{"nodes": [0, 2]}],
    "nodes": [
        {"name": "Top", "children": [1], "translation": [0, 1, 0]},
        {"name": "Triangle", "mesh": 0, "skin": 0},
        {"name": "Camera", "camera": 0},
    ],
    "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
    "skins": [{"joints": [0], "inverseBindMatrices": 2}],
    "cameras": [{"type": "perspective", "perspective": {"yfov": 0.8, "znear": 0.1}}],
    "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0.5}}],
    "textures": [{"source": 0, "sampler": 0}],
    "samplers": [{"wrapS": 10497}],
    "images": [{"uri": "data:image/png;base64," + base64.b64encode(PIXEL).decode()}],
    "animations": [
        {
            "name": "Rise",
            "channels": [{"sampler": 0, "target": {"node": 0, "path": "translation"}}],
            "samplers": [{"input": 3, "output": 4, "interpolation": "LINEAR"}],
        }
    ],
    "accessors": [
        {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]},
        {"bufferView": 1, "componentType": 5123, "count": 3, "type": "SCALAR"},
        {"bufferView": 2, "componentType": 5126, "count": 1, "type": "MAT4"},
        {"bufferView": 3, "componentType": 5126, "count": 2, "type": "SCALAR"},
        {"bufferView": 3, "byteOffset": 8, "componentType": 5126, "count": 2, "type": "VEC3"},
    ],
    "bufferViews": [
        {"buffer": 0, "byteLength": 36},
        {"buffer": 0, "byteOffset": 36, "byteLength": 6},
        {"buffer": 0, "byteOffset": 44, "byteLength": 64},
        {"buffer": 0, "byteOffset": 108, "byteLength": 32},
    ],
    "buffers": [{"byteLength": len(BINARY)}],
}


def triangle(place: str = "", value: object = None) -> Document:
    """A valid document, with one place such as `nodes[0].mesh` set to another value (a list may grow by one)."""
    document = copy.deepcopy(_TRIANGLE)
    if place:
        put(document, place, value)
    return document


def triangle_without(place: str) -> Document:
    document = copy.deepcopy(_TRIANGLE)
    part, last = _holder(document, place)
    del part[last]
    return document


def put(document: Document, place: str, value: object) -> None:
    """Set one place; the last step of it need not exist yet."""
    part, last = _holder(document, place)
    if isinstance(part, list) and last == len(part):
        part.append(value)
    else:
        part[last] = value


def _holder(document: Document, place: str) -> tuple[Any, Any]:
    *way, last = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", place)]
    part: Any = document
    for step in way:
        part = part[step]
    return part, last


def glb(document: object, binary: bytes | None = BINARY) -> bytes:
    """A GLB of a document, or of JSON text as it stands."""
    return container(json_chunk(document), *([] if binary is None else [binary_chunk(binary)]))


def gltf(document: Document) -> bytes:
    """The same as a .gltf, its buffer embedded."""
    document["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(BINARY).decode()
    return json.dumps(document).encode()


def admitted(content: bytes, name: str = "model.glb") -> str:
    """What check_model says of a file with this content."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return check_model(Path(file.name), name).format


def refused(content: bytes, *said: str, name: str = "model.glb") -> None:
    """It is refused, with a message of one readable line that says all of this."""
    with pytest.raises(InvalidFormat) as refusal:
        admitted(content, name)
    message = refusal.value.message
    assert message.isprintable()
    assert len(message) < 700
    for words in said:
        assert words in message
