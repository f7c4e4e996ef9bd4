"""Checks the byte ranges of glTF's binary data: accessors inside buffer views, and those inside buffers with data.

All functions require a document that has passed check_schema: every field has its type, every index a target.
"""

from typing import Any

from farm.intake.document import MESHOPT, meshopt_of
from farm.intake.json_paths import invalid

COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
# An accessor without data is all zeros: a small file could demand any amount of memory.
MAX_ZERO_BYTES = 64 * 1024 * 1024
_FIX = "export the model again"

JsonObject = dict[str, Any]


def check_buffers(document: JsonObject, embedded: dict[str, int], stored: int | None) -> None:
    """Check that every buffer has its data.

    `embedded` maps the path of each data URI to its decoded size, `stored` is the size of a GLB's BIN chunk.
    Raises InvalidFormat: a buffer has less data than it declares, or none.
    """
    fallbacks = _fallback_buffers(document)
    for number, buffer in enumerate(document.get("buffers", [])):
        path, declared = f"buffers[{number}]", buffer["byteLength"]
        held = embedded.get(f"{path}.uri", stored if number == 0 else None)
        if held is None and number in fallbacks:
            continue
        if held is None:
            raise invalid(
                path, "has no data: it must have a data: URI, or be the first buffer of a GLB with a BIN chunk"
            )
        if declared > held:
            raise invalid(path, f"declares {declared} bytes but holds {held}: {_FIX}")


def check_buffer_views(document: JsonObject, max_decoded_bytes: int) -> None:
    """Raises InvalidFormat: a view reaches outside its buffer, or its compressed data does or decodes to too much."""
    fallbacks, decoded = _fallback_buffers(document), 0
    for number, view in enumerate(document.get("bufferViews", [])):
        path, meshopt = f"bufferViews[{number}]", meshopt_of(view)
        _check_range(document, path, view)
        if meshopt is not None:
            path = f"{path}.extensions.{next(name for name in MESHOPT if name in view['extensions'])}"
            _check_range(document, path, meshopt)
            if meshopt["buffer"] in fallbacks:
                raise invalid(path, f"has a buffer without data: {_FIX}")
            size = meshopt["count"] * meshopt["byteStride"]
            if size > view["byteLength"]:
                raise invalid(path, f"decodes to {size} bytes in a bufferView of {view['byteLength']}: {_FIX}")
            decoded += view["byteLength"]
            if decoded > max_decoded_bytes:
                raise invalid(
                    path, f"makes {decoded:,} bytes of decoded views: {max_decoded_bytes:,} are allowed, so simplify it"
                )


def _check_range(document: JsonObject, path: str, part: JsonObject) -> None:
    end, size = part.get("byteOffset", 0) + part["byteLength"], document["buffers"][part["buffer"]]["byteLength"]
    if end > size:
        raise invalid(path, f"ends at byte {end} of a buffer of {size}: {_FIX}")


def _fallback_buffers(document: JsonObject) -> set[int]:
    """The buffers without data of their own: they only have the size of what meshopt's data decodes to."""
    fallbacks = {
        number
        for number, buffer in enumerate(document.get("buffers", []))
        if "uri" not in buffer and (meshopt_of(buffer) or {}).get("fallback") is True
    }
    return fallbacks - {view["buffer"] for view in document.get("bufferViews", []) if meshopt_of(view) is None}


def check_accessors(document: JsonObject) -> None:
    """Raises InvalidFormat: an accessor reads past its view, or declares an enormous number of zeros."""
    views = document.get("bufferViews", [])
    compressed = _draco_accessors(document)
    zeros = 0
    for number, accessor in enumerate(document.get("accessors", [])):
        path, count = f"accessors[{number}]", accessor["count"]
        component = COMPONENT_BYTES[accessor["componentType"]]
        size = component * COMPONENTS[accessor["type"]]
        if "bufferView" in accessor:
            _check_span(accessor, path, count, size, component, views)
        elif number not in compressed:
            zeros += count * size
            if zeros > MAX_ZERO_BYTES:
                raise invalid(path, f"has no bufferView and a count of {count}: that many zeros are not accepted")
        if "sparse" in accessor:
            _check_sparse(accessor["sparse"], f"{path}.sparse", count, size, component, views)


def check_images(document: JsonObject) -> None:
    """Raises InvalidFormat: an image has no data, or two sources of data."""
    for number, image in enumerate(document.get("images", [])):
        if ("uri" in image) == ("bufferView" in image):
            raise invalid(f"images[{number}]", "needs either a data: URI or a bufferView: export as GLB")


def _draco_accessors(document: JsonObject) -> set[int]:
    """Accessors whose data Draco provides: they rightly have no buffer view, and their count allocates nothing."""
    found: set[int] = set()
    for mesh in document.get("meshes", []):
        for primitive in mesh["primitives"]:
            draco = primitive.get("extensions", {}).get("KHR_draco_mesh_compression")
            if draco is not None:
                attributes = primitive["attributes"]
                found.update(attributes[name] for name in draco["attributes"] if name in attributes)
                found.add(primitive.get("indices", -1))
    return found


def _check_span(part: JsonObject, path: str, count: int, size: int, component: int, views: list[JsonObject]) -> None:
    """Check that `count` elements of `size` bytes, with components of `component` bytes, lie inside the view."""
    view = views[part["bufferView"]]
    stride = view.get("byteStride", size)
    if stride < size or stride % component:
        raise invalid(path, f"has elements of {size} bytes in a view with a byteStride of {stride}: {_FIX}")
    end = part.get("byteOffset", 0) + stride * (count - 1) + size
    if end > view["byteLength"]:
        raise invalid(path, f"ends at byte {end} of a bufferView of {view['byteLength']}: {_FIX}")


def _check_sparse(
    sparse: JsonObject, path: str, max_count: int, size: int, component: int, views: list[JsonObject]
) -> None:
    count, index_size = sparse["count"], COMPONENT_BYTES[sparse["indices"]["componentType"]]
    if count > max_count:
        raise invalid(f"{path}.count", f"is {count}, more than the accessor's {max_count}: {_FIX}")
    _check_span(sparse["indices"], f"{path}.indices", count, index_size, index_size, views)
    _check_span(sparse["values"], f"{path}.values", count, size, component, views)
