"""The arithmetic of glTF's binary data: accessors lie inside buffer views, which lie inside buffers, which exist.

Everything here takes a document that has passed check_shape, so that every field has its type and every index a target.
"""

from typing import Any

from farm.intake.places import wrong

COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
# An accessor without data is all zeros, at no cost to its sender.
MAX_ZEROS = 64 * 1024 * 1024
_MEND = "export the model again"

Part = dict[str, Any]


def check_buffers(document: Part, embedded: dict[str, int], stored: int | None) -> None:
    """`embedded` are sizes by the place of a URI, `stored` is the size of a GLB's BIN chunk.

    Raises InvalidFormat: a buffer has less data than it declares, or none.
    """
    for number, buffer in enumerate(document.get("buffers", [])):
        place, declared = f"buffers[{number}]", buffer["byteLength"]
        held = embedded.get(f"{place}.uri", stored if number == 0 else None)
        if held is None:
            raise wrong(place, "has no data: it needs a data: URI, or to be the first buffer of a GLB with a BIN chunk")
        if declared > held:
            raise wrong(place, f"declares {declared} bytes but holds {held}: {_MEND}")


def check_buffer_views(document: Part) -> None:
    """Raises InvalidFormat: a view reaches outside its buffer."""
    for number, view in enumerate(document.get("bufferViews", [])):
        end, size = view.get("byteOffset", 0) + view["byteLength"], document["buffers"][view["buffer"]]["byteLength"]
        if end > size:
            raise wrong(f"bufferViews[{number}]", f"ends at byte {end} of a buffer of {size}: {_MEND}")


def check_accessors(document: Part) -> None:
    """Raises InvalidFormat: an accessor reads past its view, or stands for an enormous number of zeros."""
    views = document.get("bufferViews", [])
    compressed = _draco_accessors(document)
    zeros = 0
    for number, accessor in enumerate(document.get("accessors", [])):
        place, count = f"accessors[{number}]", accessor["count"]
        component = COMPONENT_BYTES[accessor["componentType"]]
        size = component * COMPONENTS[accessor["type"]]
        if "bufferView" in accessor:
            _check_span(accessor, place, count, size, component, views)
        elif number not in compressed:
            zeros += count * size
            if zeros > MAX_ZEROS:
                raise wrong(place, f"has no bufferView and a count of {count}: that many zeros are refused")
        if "sparse" in accessor:
            _check_sparse(accessor["sparse"], f"{place}.sparse", count, size, component, views)


def check_images(document: Part) -> None:
    """Raises InvalidFormat: an image has no data, or twice."""
    for number, image in enumerate(document.get("images", [])):
        if ("uri" in image) == ("bufferView" in image):
            raise wrong(f"images[{number}]", "needs either a data: URI or a bufferView: export as GLB")


def _draco_accessors(document: Part) -> set[int]:
    """Accessors that Draco fills, so that they rightly have no data and their count is not believed anyway."""
    found: set[int] = set()
    for mesh in document.get("meshes", []):
        for primitive in mesh["primitives"]:
            draco = primitive.get("extensions", {}).get("KHR_draco_mesh_compression")
            if draco is not None:
                attributes = primitive["attributes"]
                found.update(attributes[name] for name in draco["attributes"] if name in attributes)
                found.add(primitive.get("indices", -1))
    return found


def _check_span(part: Part, place: str, count: int, size: int, component: int, views: list[Part]) -> None:
    """`count` elements of `size` bytes, made of components of `component` bytes, lie inside the part's view."""
    view = views[part["bufferView"]]
    stride = view.get("byteStride", size)
    if stride < size or stride % component:
        raise wrong(place, f"has elements of {size} bytes in a view with a byteStride of {stride}: {_MEND}")
    end = part.get("byteOffset", 0) + stride * (count - 1) + size
    if end > view["byteLength"]:
        raise wrong(place, f"ends at byte {end} of a bufferView of {view['byteLength']}: {_MEND}")


def _check_sparse(sparse: Part, place: str, most: int, size: int, component: int, views: list[Part]) -> None:
    count, index_size = sparse["count"], COMPONENT_BYTES[sparse["indices"]["componentType"]]
    if count > most:
        raise wrong(f"{place}.count", f"is {count}, more than the accessor's {most}: {_MEND}")
    _check_span(sparse["indices"], f"{place}.indices", count, index_size, index_size, views)
    _check_span(sparse["values"], f"{place}.values", count, size, component, views)
