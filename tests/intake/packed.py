"""glTF as gltfpack and web shops write it: meshopt-compressed geometry and KTX2 textures."""

import base64
from pathlib import Path
from typing import Any

import meshopt
import numpy as np
from numpy.typing import NDArray

# 16x16 pixels: red and green above blue and yellow, encoded by Basis Universal; in `alpha`, yellow is clear.
KTX2 = {path.stem: path.read_bytes() for path in (Path(__file__).parent / "ktx2").glob("*.ktx2")}
POSITIONS = np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32)
INDICES = np.random.default_rng(2).integers(0, 60, 300).astype(np.uint16)


def compressed(
    *parts: tuple[NDArray[Any], str, str], name: str = "EXT_meshopt_compression"
) -> tuple[dict[str, Any], bytes]:
    """A document as gltfpack writes it, with a view for each part (rows of bytes or indices, mode, filter)."""
    data, views, decoded = b"", [], 0
    for rows, mode, filter_ in parts:
        encoded = meshopt.encode_gltf_buffer(rows, mode)
        stride = rows.nbytes // len(rows)
        extension = {"buffer": 0, "byteOffset": len(data), "byteLength": len(encoded), "mode": mode, "filter": filter_}
        extension |= {"byteStride": stride, "count": len(rows)}
        views.append({"buffer": 1, "byteOffset": decoded, "byteLength": rows.nbytes, "extensions": {name: extension}})
        data += encoded + bytes(-len(encoded) % 4)
        decoded += rows.nbytes
    document = {
        "asset": {"version": "2.0"},
        "extensionsUsed": [name, "KHR_mesh_quantization"],
        "extensionsRequired": [name, "KHR_mesh_quantization"],
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}, {"byteLength": decoded, "extensions": {name: {"fallback": True}}}],
    }
    return document, data


def mesh(name: str = "EXT_meshopt_compression") -> tuple[dict[str, Any], bytes]:
    """A mesh of POSITIONS and INDICES in a compressed document."""
    document, data = compressed((POSITIONS, "ATTRIBUTES", "NONE"), (INDICES, "TRIANGLES", "NONE"), name=name)
    accessors = [
        {"bufferView": 0, "componentType": 5126, "count": 60, "type": "VEC3"},
        {"bufferView": 1, "componentType": 5123, "count": 300, "type": "SCALAR"},
    ]
    meshes = [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}]
    return document | {"accessors": accessors, "meshes": meshes, "nodes": [{"mesh": 0}]}, data


def textured(ktx2: bytes, **texture: Any) -> dict[str, Any]:
    """A document with a KTX2 texture in a data: URI."""
    uri = "data:image/ktx2;base64," + base64.b64encode(ktx2).decode()
    return {
        "asset": {"version": "2.0"},
        "extensionsUsed": ["KHR_texture_basisu"],
        "extensionsRequired": ["KHR_texture_basisu"],
        "images": [{"uri": uri}],
        "textures": [{"extensions": {"KHR_texture_basisu": {"source": 0}}, **texture}],
        "extras": {"thumbnail": "data:image/png;base64," + "A" * 400},
    }
