"""Converts a packed glTF to a plain GLB: decodes meshopt-compressed geometry, and KTX2 textures to PNG.

Runs in a process of `confined_process.run("farm.intake.unpack", ...)`, on a file that `check_model` has found packed.
"""

import base64
import io
import json
import mmap
from collections.abc import Iterable
from typing import Any, BinaryIO

import meshopt
import numpy as np
import opengl_basisu
from PIL import Image

from farm.errors import InvalidFormat
from farm.intake import confined_process, glb
from farm.intake.binary import JsonObject
from farm.intake.buffers import Buffers
from farm.intake.document import BASISU, MESHOPT, UNPACKED, basisu_of, meshopt_of
from farm.intake.json_paths import invalid
from farm.intake.text import Payloads
from farm.intake.texture import MAX_TEXTURE_SIDE_PIXELS

MAX_UNPACKED_BYTES = 512 * 1024**2
PNG_LEVEL = 1  # of 9: the file is read once, by Blender
ALIGNMENT = 8  # of buffer views; accessors need that of their components, 4 at most
_FIX = "export the model again"


def unpack(source: BinaryIO, target: BinaryIO) -> dict[str, Any]:
    """Write the model in `source` to `target` as a GLB with neither meshopt nor KTX2. Raises InvalidFormat."""
    content = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
    document, binary = _read(content)
    buffers = Buffers(document, Payloads(content), binary)
    views = document.setdefault("bufferViews", [])
    _check_size(sum(view["byteLength"] for view in views))  # before anything is decoded
    parts: list[bytes | memoryview] = []  # the data of each view
    for number, view in enumerate(views):
        compressed = meshopt_of(view)
        parts.append(_decode_meshopt(buffers, number, view, compressed) if compressed else buffers.view(number))
        _drop_extensions(view, MESHOPT)
    for number in _ktx2_images(document):
        _convert_image(document["images"][number], f"images[{number}]", views, parts)
    _write(target, document, parts)
    return {"views": len(parts)}


def _read(content: mmap.mmap) -> tuple[JsonObject, memoryview | None]:
    """The document, this time with its base64, and the BIN chunk."""
    if content[:4] != glb.MAGIC:
        return json.loads(content[:].decode("utf-8")), None
    chunks = glb.read_chunks(content)
    binary = memoryview(content)[slice(*chunks.binary)] if chunks.binary else None
    return json.loads(content[chunks.json_start : chunks.json_end].decode("utf-8")), binary


def _decode_meshopt(buffers: Buffers, number: int, view: JsonObject, compressed: JsonObject) -> bytes:
    """The decoded data of a buffer view, with the view's length."""
    start = compressed.get("byteOffset", 0)
    data = bytes(buffers.buffer(compressed["buffer"])[start : start + compressed["byteLength"]])
    try:
        decoded = meshopt.decode_gltf_buffer(
            data, compressed["count"], compressed["byteStride"], compressed["mode"], compressed.get("filter", "NONE")
        )
    except (ValueError, RuntimeError) as error:
        raise invalid(f"bufferViews[{number}]", f"holds meshopt data that cannot be decoded: {_FIX}") from error
    return bytes(decoded).ljust(view["byteLength"], b"\0")


def _ktx2_images(document: JsonObject) -> list[int]:
    """The images that are KTX2 and needed, after making them the sources of their textures."""
    needed = set()
    for texture in document.get("textures", []):
        basisu = basisu_of(texture)
        if basisu and "source" not in texture:
            texture["source"] = basisu["source"]
            needed.add(basisu["source"])
        _drop_extensions(texture, [BASISU])
    return sorted(needed)


def _convert_image(image: JsonObject, path: str, views: list[JsonObject], parts: list[bytes | memoryview]) -> None:
    """Convert an image from KTX2 to PNG, in a buffer view of its own."""
    if "uri" in image:
        data = base64.b64decode(image.pop("uri").partition(";base64,")[2])
    else:
        data = bytes(parts[image["bufferView"]])
    image |= {"bufferView": len(views), "mimeType": "image/png"}
    views.append({})
    parts.append(_png(data, path))


def _png(data: bytes, path: str) -> bytes:
    """A KTX2 texture's largest level as PNG."""
    try:
        texture = opengl_basisu.open(data)
        if max(texture.width, texture.height) > MAX_TEXTURE_SIDE_PIXELS:
            raise invalid(
                path,
                f"has {texture.width}x{texture.height} pixels: the maximum is {MAX_TEXTURE_SIDE_PIXELS} per side",
            )
        pixels = np.asarray(texture.transcode("rgba8").data)
    except opengl_basisu.BasisuError as error:
        raise invalid(path, f"is not a readable KTX2 texture in Basis Universal ({error}): {_FIX}") from error
    image = Image.fromarray(pixels if texture.has_alpha else np.ascontiguousarray(pixels[..., :3]))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=PNG_LEVEL)
    return file.getvalue()


def _drop_extensions(part: JsonObject, names: Iterable[str]) -> None:
    part["extensions"] = {name: value for name, value in part.get("extensions", {}).items() if name not in names}
    if not part["extensions"]:
        del part["extensions"]


def _write(target: BinaryIO, document: JsonObject, parts: list[bytes | memoryview]) -> None:
    """Write a GLB whose views have the data of `parts`. Raises InvalidFormat beyond MAX_UNPACKED_BYTES."""
    size = 0
    for view, part in zip(document["bufferViews"], parts, strict=True):
        view |= {"buffer": 0, "byteOffset": size, "byteLength": len(part)}
        size += len(part) + -len(part) % ALIGNMENT
    _check_size(size)
    document["buffers"] = [{"byteLength": size}] if size else []
    for key in ("extensionsUsed", "extensionsRequired"):
        document[key] = [name for name in document.get(key, []) if name not in UNPACKED]
    padded = (piece for part in parts for piece in (part, bytes(-len(part) % ALIGNMENT)))
    glb.write(target, document, padded, size)


def _check_size(size: int) -> None:
    if size > MAX_UNPACKED_BYTES:
        raise InvalidFormat(f"The model unpacks to more than {MAX_UNPACKED_BYTES // 1024**2} MB: make it smaller")


if __name__ == "__main__":
    confined_process.main(unpack)
