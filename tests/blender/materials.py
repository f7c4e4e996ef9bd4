"""A plate with one glTF material, written without Blender, for the tests of materials."""

import io
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Json = dict[str, Any]
Point = tuple[float, float, float]
FLOAT, USHORT = 5126, 5123
PLATE = [(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]
CORNERS = [(0, 1), (1, 1), (1, 0), (0, 0)]
FACES = [0, 1, 2, 0, 2, 3]


def halves(left: tuple[int, ...], right: tuple[int, ...]) -> Image.Image:
    """A picture of two colours."""
    picture = Image.new("RGBA", (16, 16), (*left, 255)[:4])
    picture.paste((*right, 255)[:4], (8, 0, 16, 16))
    return picture


def plate(
    path: Path,
    material: Json,
    *,
    picture: Image.Image | None = None,
    colours: list[tuple[float, ...]] | None = None,
    morph: list[tuple[float, float, float]] | None = None,
) -> Path:
    """A square plate of 2 x 2 that faces the front, with this material; texture 0 is `picture`.

    `colours` are its corners' vertex colours; `morph` moves its corners, with the mesh's weight at 1.
    """
    file = _Glb()
    primitive: Json = {
        "attributes": {"POSITION": file.add(PLATE, "VEC3"), "TEXCOORD_0": file.add(CORNERS, "VEC2")},
        "indices": file.add(FACES, "SCALAR", USHORT),
        "material": 0,
    }
    mesh: Json = {"primitives": [primitive]}
    if colours:
        primitive["attributes"]["COLOR_0"] = file.add(colours, "VEC4")
    if morph:
        primitive["targets"], mesh["weights"] = [{"POSITION": file.add(morph, "VEC3")}], [1.0]
    file.document |= {"meshes": [mesh], "materials": [material]}
    extensions = set(material.get("extensions", {})) | set(_extensions_in(material))
    file.document["extensionsUsed"] = sorted(extensions)
    if not extensions:
        del file.document["extensionsUsed"]
    if picture:
        data = io.BytesIO()
        picture.save(data, "PNG")
        file.document |= {
            "samplers": [{"magFilter": 9728, "minFilter": 9728}],
            "textures": [{"source": 0, "sampler": 0}],
            "images": [{"bufferView": file.view(data.getvalue()), "mimeType": "image/png"}],
        }
    path.write_bytes(file.bytes())
    return path


@dataclass(frozen=True)
class Part:
    """Triangles with one material; `normals` are those of their corners, in the file's own axes."""

    points: list[Point]
    material: Json
    normals: list[Point] | None = None


def parts(path: Path, *parts: Part, **node: Any) -> Path:
    """A file with one mesh, whose primitives are these parts; `node` is more of its node, such as a scale."""
    file = _Glb()
    primitives = []
    for number, part in enumerate(parts):
        attributes = {"POSITION": file.add(part.points, "VEC3")}
        if part.normals:
            attributes["NORMAL"] = file.add(part.normals, "VEC3")
        primitives.append({"attributes": attributes, "material": number})
    file.document |= {"meshes": [{"primitives": primitives}], "materials": [part.material for part in parts]}
    file.document["nodes"] = [{"mesh": 0} | node]
    if extensions := sorted({name for part in parts for name in _extensions_in(part.material)}):
        file.document["extensionsUsed"] = extensions
    path.write_bytes(file.bytes())
    return path


def sheet(z: float, *, half: float = 1.0) -> list[Point]:
    """The two triangles of a square that faces the front, at the height 1."""
    low, high = 1 - half, 1 + half
    return [(-half, low, z), (half, low, z), (half, high, z), (-half, low, z), (half, high, z), (-half, high, z)]


def turned(points: list[Point]) -> list[Point]:
    """The triangles with their backs to the front."""
    return [points[first + corner] for first in range(0, len(points), 3) for corner in (0, 2, 1)]


def flat_normals(points: list[Point], sign: float = 1.0) -> list[Point]:
    """The normals of the triangles' corners by their winding, times `sign`."""
    corners = np.array(points, dtype=float).reshape(-1, 3, 3)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals *= sign / np.linalg.norm(normals, axis=1, keepdims=True)
    return [(float(x), float(y), float(z)) for x, y, z in np.repeat(normals, 3, axis=0)]


def _extensions_in(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [*value.get("extensions", {}), *(name for child in value.values() for name in _extensions_in(child))]


class _Glb:
    """A GLB under construction."""

    def __init__(self) -> None:
        self.binary = b""
        self.document: Json = {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0}],
            "accessors": [],
            "bufferViews": [],
        }

    def view(self, data: bytes) -> int:
        self.binary += b"\0" * (-len(self.binary) % 4)
        self.document["bufferViews"].append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)})
        self.binary += data
        return len(self.document["bufferViews"]) - 1

    def add(self, values: Any, kind: str, component: int = FLOAT) -> int:
        rows = np.array(values, dtype="<f4" if component == FLOAT else "<u2")
        accessor: Json = {"bufferView": self.view(rows.tobytes()), "componentType": component, "count": len(rows)}
        accessor["type"] = kind
        if kind == "VEC3":
            accessor |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.document["accessors"].append(accessor)
        return len(self.document["accessors"]) - 1

    def bytes(self) -> bytes:
        self.binary += b"\0" * (-len(self.binary) % 4)
        self.document["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.document).encode()
        text += b" " * (-len(text) % 4)
        length = 12 + 8 + len(text) + 8 + len(self.binary)
        head = struct.pack("<4sII", b"glTF", 2, length) + struct.pack("<I4s", len(text), b"JSON")
        return head + text + struct.pack("<I4s", len(self.binary), b"BIN\0") + self.binary
