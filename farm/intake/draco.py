"""Draco-compressed geometry: the counts that its data states, and a trial decoding with Blender's own decoder.

Blender's importer believes the data and not the accessors, and its decoder allocates what the data asks for. So the
header is read first, against the limits, and then everything is decoded here, where memory and time are limited.
"""

import ctypes
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from farm.intake.binary import JsonObject
from farm.intake.buffers import Buffers
from farm.intake.document import meshopt_of
from farm.intake.geometry import primitives
from farm.intake.json_paths import invalid

EXTENSION = "KHR_draco_mesh_compression"
MAGIC = b"DRACO"
VERSION = (2, 2)  # the only one that glTF allows
MESH, SEQUENTIAL, EDGEBREAKER = 1, 0, 1
METADATA_FLAG = 0x8000
LIBRARY = "*/scripts/addons_core/io_scene_gltf2/libextern_draco.so"
_FIX = "export the model again"


def stated_counts(document: JsonObject, buffers: Buffers) -> dict[int, int]:
    """The elements that Draco's data states for each accessor that it replaces; the greatest, of several.

    Raises InvalidFormat: the data is not a mesh of Draco 2.2, or its primitive lacks indices.
    """
    found: dict[int, int] = {}
    for path, primitive, view in _compressed(document):
        if "indices" not in primitive:
            raise invalid(path, f"is compressed by Draco, but has no indices: {_FIX}")
        points, faces = _header(buffers.view(view), path)
        _merge(primitive, points, 3 * faces, found)
    return found


def decoded_counts(document: JsonObject, buffers: Buffers) -> dict[int, int]:
    """Like `stated_counts`, of the decoded data, which may have more vertices. Raises InvalidFormat: it is damaged."""
    found: dict[int, int] = {}
    sizes: dict[bytes, tuple[int, int]] = {}  # by the data, which several primitives may share
    for path, primitive, view in _compressed(document):
        data = bytes(buffers.view(view))
        if data not in sizes:
            sizes[data] = _decode(data, path)
        _merge(primitive, *sizes[data], found)
    return found


def _compressed(document: JsonObject) -> Iterator[tuple[str, JsonObject, int]]:
    """The path of each primitive with Draco's data, the primitive, and the number of the data's view.

    Left out are data that is compressed by meshopt, too, which is checked once that is decoded, and meshes that no node
    has: they do not count (farm.intake.limits), and Blender's importer does not decode them.
    """
    shown = {node["mesh"] for node in document.get("nodes", []) if "mesh" in node}
    for path, primitive in primitives(document, shown):
        draco = primitive.get("extensions", {}).get(EXTENSION)
        if draco is not None and not meshopt_of(document["bufferViews"][draco["bufferView"]]):
            yield path, primitive, draco["bufferView"]


def _merge(primitive: JsonObject, points: int, corners: int, found: dict[int, int]) -> None:
    attributes = primitive["attributes"]
    replaced = [attributes[name] for name in primitive["extensions"][EXTENSION]["attributes"] if name in attributes]
    for accessor, count in [(primitive["indices"], corners), *((each, points) for each in replaced)]:
        found[accessor] = max(count, found.get(accessor, 0))


def _header(data: memoryview, path: str) -> tuple[int, int]:
    """The number of points and faces. Of points, Draco makes more where faces differ in their attributes."""
    start = bytes(data[:11])
    if start[:5] != MAGIC or len(start) < 11:
        raise invalid(path, f"holds data that is not Draco's: {_FIX}")
    flags = int.from_bytes(start[9:11], "little")
    if tuple(start[5:7]) != VERSION or start[7] != MESH or start[8] not in (SEQUENTIAL, EDGEBREAKER):
        raise invalid(path, f"holds data that is not a mesh of Draco 2.2: {_FIX}")
    if flags & METADATA_FLAG:  # of any size, before the counts: they are known once the data is decoded
        return 0, 0
    numbers = _varints(data[12 if start[8] == EDGEBREAKER else 11 :], path)
    if start[8] == EDGEBREAKER:
        points, faces = next(numbers), next(numbers)
    else:
        faces, points = next(numbers), next(numbers)
    return points, faces


def _varints(data: memoryview, path: str) -> Iterator[int]:
    """Numbers of 7 bits a byte, of which the highest bit says that more follow."""
    number = shift = 0
    for byte in bytes(data[:20]):
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield number
            number = shift = 0
    raise invalid(path, f"holds Draco data that ends in its header: {_FIX}")


def _decode(data: bytes, path: str) -> tuple[int, int]:
    """The number of points and of corners."""
    library = _library()
    decoder = library.decoderCreate()
    try:
        if not library.decoderDecode(decoder, data, len(data)):
            raise invalid(path, f"holds Draco data that cannot be decoded: {_FIX}")
        return library.decoderGetVertexCount(decoder), library.decoderGetIndexCount(decoder)
    finally:
        library.decoderRelease(decoder)


@functools.cache
def _library() -> ctypes.CDLL:
    """The decoder of Blender's importer, from the package bpy, which is not imported."""
    package = importlib.util.find_spec("bpy")
    assert package is not None
    assert package.submodule_search_locations
    (path,) = Path(package.submodule_search_locations[0]).glob(LIBRARY)
    library = ctypes.CDLL(str(path))
    library.decoderCreate.restype = ctypes.c_void_p
    library.decoderRelease.argtypes = [ctypes.c_void_p]
    library.decoderDecode.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.decoderDecode.restype = ctypes.c_bool
    for count in (library.decoderGetVertexCount, library.decoderGetIndexCount):
        count.argtypes, count.restype = [ctypes.c_void_p], ctypes.c_uint32
    return library
