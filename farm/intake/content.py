"""Checks of the values in glTF's binary data: finite numbers, indices of existing vertices, existing joints."""

from collections.abc import Iterator

import numpy as np

from farm.errors import InvalidFormat
from farm.intake.binary import COMPONENT_BYTES, COMPONENTS, JsonObject
from farm.intake.buffers import Buffers, Elements
from farm.intake.geometry import CHANNEL_TYPES, primitives
from farm.intake.json_paths import invalid, quoted

PIECE_BYTES = 4 * 1024 * 1024  # an accessor is checked in pieces, which bounds the memory of the comparison
# Each accessor is read once, so only a file whose accessors overlap a thousandfold has more.
MAX_READ_BYTES = 2 * 1024**3
_REPAIR = "repair the model and export it again"


def check_content(document: JsonObject, buffers: Buffers) -> None:
    """Check all values that Blender computes a surface from. Normals, texture coordinates and colours may be anything.

    Requires a document that has passed check_geometry. Raises InvalidFormat: a value is not finite, or an index or
    joint does not exist.
    """
    values = _Values(document, buffers)
    for path, primitive in primitives(document):
        _check_primitive(values, path, primitive)
    for number, skin in enumerate(document.get("skins", [])):
        if "inverseBindMatrices" in skin:
            values.check_finite(skin["inverseBindMatrices"], f"skins[{number}].inverseBindMatrices")
    for number, node in enumerate(document.get("nodes", [])):
        path = f"nodes[{number}]"
        if instancing := node.get("extensions", {}).get("EXT_mesh_gpu_instancing"):
            for name, accessor in instancing["attributes"].items():
                if name in ("TRANSLATION", "ROTATION", "SCALE"):
                    values.check_finite(accessor, f"{path}.extensions.EXT_mesh_gpu_instancing.attributes.{name}")
        if "mesh" in node and "skin" in node:
            _check_joints(values, document, node)
    for number, animation in enumerate(document.get("animations", [])):
        for channel in animation["channels"]:
            if channel["target"]["path"] in CHANNEL_TYPES:
                sampler_path = f"animations[{number}].samplers[{channel['sampler']}]"
                sampler = animation["samplers"][channel["sampler"]]
                values.check_finite(sampler["input"], f"{sampler_path}.input")
                values.check_finite(sampler["output"], f"{sampler_path}.output")


def _check_primitive(values: "_Values", path: str, primitive: JsonObject) -> None:
    attributes = primitive["attributes"]
    for name, accessor in attributes.items():
        if name == "POSITION" or name.startswith("WEIGHTS_"):
            values.check_finite(accessor, f"{path}.attributes.{name}")
    for number, target in enumerate(primitive.get("targets", [])):
        if "POSITION" in target:
            values.check_finite(target["POSITION"], f"{path}.targets[{number}].POSITION")
    if "indices" in primitive:
        count, largest = values.accessors[attributes["POSITION"]]["count"], values.maximum(primitive["indices"])
        if largest >= count:
            raise invalid(path, f"uses index {largest} of {count} vertices: export the model again")


def _check_joints(values: "_Values", document: JsonObject, node: JsonObject) -> None:
    joints = len(document["skins"][node["skin"]]["joints"])
    for number, primitive in enumerate(document["meshes"][node["mesh"]]["primitives"]):
        for name, accessor in primitive["attributes"].items():
            if name.startswith("JOINTS_") and (largest := values.maximum(accessor)) >= joints:
                path = f"meshes[{node['mesh']}].primitives[{number}]"
                raise invalid(
                    path, f"uses joint {largest} of the {joints} of skins[{node['skin']}]: export the model again"
                )


class _Values:
    """The accessors' values. Each accessor is read once per kind of check, however many primitives share it."""

    def __init__(self, document: JsonObject, buffers: Buffers) -> None:
        self.accessors: list[JsonObject] = document.get("accessors", [])
        self._buffers = buffers
        self._finite: set[int] = set()
        self._maxima: dict[int, int] = {}
        self._read_bytes = 0

    def check_finite(self, number: int, use: str) -> None:
        """Raises InvalidFormat: the accessor, which is the `use` of the document, holds NaN or an infinite value."""
        if number in self._finite:
            return
        accessor = self.accessors[number]
        for first, piece in self._pieces(number):
            finite = np.isfinite(piece)
            if not finite.all():
                element = int(np.argmin(finite.all(axis=1)))
                value = float(piece[element][~finite[element]][0])
                name = f" ({quoted(accessor['name'])})" if accessor.get("name") else ""
                raise invalid(
                    f"accessors[{number}]{name}",
                    f"holds {value} in element {first + element}; it is {use}: {_REPAIR}",
                )
        self._finite.add(number)

    def maximum(self, number: int) -> int:
        """The largest value of an accessor of unsigned integers."""
        if number not in self._maxima:
            self._maxima[number] = max((int(piece.max()) for _, piece in self._pieces(number)), default=0)
        return self._maxima[number]

    def _pieces(self, number: int) -> Iterator[tuple[int, Elements]]:
        """The accessor's elements in pieces, each with the index of its first element; then the sparse ones."""
        accessor = self.accessors[number]
        if "bufferView" in accessor:
            yield from self._split(self._buffers.elements(accessor), accessor)
        if "sparse" in accessor:
            for _, indices in self._split(self._buffers.sparse_indices(accessor), accessor):
                if (largest := int(indices.max())) >= accessor["count"]:
                    raise invalid(
                        f"accessors[{number}].sparse",
                        f"replaces element {largest} of {accessor['count']}: export the model again",
                    )
            yield from self._split(self._buffers.sparse_values(accessor), accessor)

    def _split(self, elements: Elements, accessor: JsonObject) -> Iterator[tuple[int, Elements]]:
        size = COMPONENT_BYTES[accessor["componentType"]] * COMPONENTS[accessor["type"]]
        self._read_bytes += size * len(elements)
        if self._read_bytes > MAX_READ_BYTES:
            raise InvalidFormat(
                f"The model's accessors read more than {MAX_READ_BYTES // 1024**3} GB of the file: they overlap; "
                "export the model again"
            )
        step = max(1, PIECE_BYTES // size)
        for first in range(0, len(elements), step):
            yield first, elements[first : first + step]
