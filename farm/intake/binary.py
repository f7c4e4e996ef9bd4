"""The arithmetic of glTF's binary data: accessors lie inside buffer views, which lie inside buffers, which exist."""

from typing import Any

from farm.intake.fields import parts, shown, whole, wrong
from farm.intake.text import Payloads
from farm.intake.uris import embedded_size

COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
SPARSE_INDEX_TYPES = {5121, 5123, 5125}
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
# An accessor without data is all zeros, at no cost to its sender.
MAX_ZEROS = 64 * 1024 * 1024


def check_buffers(document: dict[str, Any], payloads: Payloads, stored: int | None) -> None:
    """`stored` is the size of a GLB's BIN chunk. Raises InvalidFormat: a buffer has less data than it declares."""
    for number, (place, buffer) in enumerate(parts(document, "buffers[]")):
        declared = whole(buffer, place, "byteLength", least=1)
        if "uri" in buffer:
            held = embedded_size(buffer["uri"], f"{place}.uri", payloads)
        elif number == 0 and stored is not None:
            held = stored
        else:
            raise wrong(place, "has no data: it needs a data: URI, or to be the first buffer of a GLB with a BIN chunk")
        if declared > held:
            raise wrong(place, f"declares {shown(declared)} bytes but holds {held}: export the model again")


def check_buffer_views(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: a view reaches outside its buffer, or its stride is not one. After check_buffers."""
    sizes = [buffer["byteLength"] for _, buffer in parts(document, "buffers[]")]
    for place, view in parts(document, "bufferViews[]"):
        end = whole(view, place, "byteOffset", default=0) + whole(view, place, "byteLength", least=1)
        size = sizes[view["buffer"]]
        if end > size:
            raise wrong(place, f"ends at byte {shown(end)} of a buffer of {size}: export the model again")
        if "byteStride" in view:
            stride = whole(view, place, "byteStride", least=4)
            if stride > 252 or stride % 4:
                raise wrong(f"{place}.byteStride", f"must be a multiple of 4 up to 252, not {shown(stride)}")


def check_accessors(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: an accessor reads past its view, or has no valid type. After check_buffer_views."""
    views = [view for _, view in parts(document, "bufferViews[]")]
    compressed = _draco_accessors(document)
    zeros = 0
    for number, (place, accessor) in enumerate(parts(document, "accessors[]")):
        count = whole(accessor, place, "count", least=1)
        component = _component(accessor, place)
        size = component * _components(accessor, place)
        if "bufferView" in accessor:
            _check_span(accessor, place, count, size, component, views)
        elif number not in compressed:
            zeros += count * size
            if zeros > MAX_ZEROS:
                raise wrong(place, f"has no bufferView and a count of {shown(count)}: that many zeros are refused")
        if "sparse" in accessor:
            _check_sparse(accessor["sparse"], f"{place}.sparse", count, size, component, views)


def check_images(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: an image has no data, or twice."""
    for place, image in parts(document, "images[]"):
        if ("uri" in image) == ("bufferView" in image):
            raise wrong(place, "must have either a data: URI or a bufferView: embed the picture, or export as GLB")


def _draco_accessors(document: dict[str, Any]) -> set[int]:
    """Accessors whose data comes out of Draco, so that they rightly have none of their own."""
    found: set[int] = set()
    for _, primitive in parts(document, "meshes[].primitives[]"):
        if "KHR_draco_mesh_compression" in primitive.get("extensions", {}):
            found.update(primitive["attributes"].values())
            found.add(primitive.get("indices", -1))
    return found


def _component(part: dict[str, Any], place: str) -> int:
    kind = whole(part, place, "componentType")
    if kind not in COMPONENT_BYTES:
        raise wrong(f"{place}.componentType", f"is {shown(kind)}, which glTF does not know: export the model again")
    return COMPONENT_BYTES[kind]


def _components(accessor: dict[str, Any], place: str) -> int:
    kind = accessor["type"]
    if not isinstance(kind, str) or kind not in COMPONENTS:
        raise wrong(f"{place}.type", f"is {shown(kind)}, which glTF does not know: export the model again")
    return COMPONENTS[kind]


def _check_span(
    part: dict[str, Any], place: str, count: int, size: int, component: int, views: list[dict[str, Any]]
) -> None:
    """`count` elements of `size` bytes, made of components of `component` bytes, lie inside the part's view."""
    view = views[part["bufferView"]]
    stride = view.get("byteStride", size)
    if stride < size or stride % component:
        raise wrong(
            place, f"has elements of {size} bytes in a view with a byteStride of {stride}: export the model again"
        )
    end = whole(part, place, "byteOffset", default=0) + stride * (count - 1) + size
    if end > view["byteLength"]:
        raise wrong(place, f"ends at byte {shown(end)} of a bufferView of {view['byteLength']}: export the model again")


def _check_sparse(
    sparse: dict[str, Any], place: str, most: int, size: int, component: int, views: list[dict[str, Any]]
) -> None:
    count = whole(sparse, place, "count", least=1)
    if count > most:
        raise wrong(
            f"{place}.count", f"is {shown(count)}, more than the accessor's {shown(most)}: export the model again"
        )
    indices, values = sparse["indices"], sparse["values"]
    index_size = _component(indices, f"{place}.indices")
    if indices["componentType"] not in SPARSE_INDEX_TYPES:
        raise wrong(f"{place}.indices.componentType", "must be an unsigned whole number: export the model again")
    _check_span(indices, f"{place}.indices", count, index_size, index_size, views)
    _check_span(values, f"{place}.values", count, size, component, views)
