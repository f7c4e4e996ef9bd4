"""The binary data of a glTF file, read through memory maps: a GLB's BIN chunk, and data: URIs."""

from typing import Any

import numpy as np
import numpy.typing as npt

from farm.intake.binary import COMPONENTS, JsonObject
from farm.intake.text import Payloads

COMPONENT_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}

Elements = npt.NDArray[Any]  # count x components


class Buffers:
    """The buffers of a document that has passed `binary.check_buffers`. A data: URI is decoded on first use."""

    def __init__(self, document: JsonObject, payloads: Payloads, binary: memoryview | None) -> None:
        """`binary` is the BIN chunk of a GLB."""
        self._buffers, self._views = document.get("buffers", []), document.get("bufferViews", [])
        self._payloads, self._binary = payloads, binary
        self._decoded: dict[int, memoryview] = {}

    def view(self, number: int) -> memoryview:
        """The bytes of a buffer view."""
        view = self._views[number]
        start = view.get("byteOffset", 0)
        return self.buffer(view["buffer"])[start : start + view["byteLength"]]

    def buffer(self, number: int) -> memoryview:
        """The bytes of a buffer, which may be followed by padding."""
        uri = self._buffers[number].get("uri")
        if uri is None:
            assert self._binary is not None, "check_buffers comes first"
            return self._binary
        if number not in self._decoded:
            self._decoded[number] = self.embedded(uri)
        return self._decoded[number]

    def embedded(self, uri: str) -> memoryview:
        """The bytes of a data: URI."""
        return memoryview(self._payloads.decode(uri))

    def elements(self, accessor: JsonObject) -> Elements:
        """The accessor's elements without its sparse ones, as an array over the file; it must have a bufferView."""
        return self._array(accessor, accessor, accessor["count"])

    def sparse_values(self, accessor: JsonObject) -> Elements:
        """The elements that a sparse accessor replaces."""
        sparse = accessor["sparse"]
        return self._array(sparse["values"], accessor, sparse["count"])

    def sparse_indices(self, accessor: JsonObject) -> Elements:
        """The indices of the elements that a sparse accessor replaces."""
        sparse = accessor["sparse"]
        return self._array(sparse["indices"], sparse["indices"] | {"type": "SCALAR"}, sparse["count"])

    def _array(self, location: JsonObject, element: JsonObject, count: int) -> Elements:
        """`count` elements at a location in a buffer view; `element` has their type and componentType."""
        dtype, components = np.dtype(COMPONENT_TYPES[element["componentType"]]), COMPONENTS[element["type"]]
        stride = self._views[location["bufferView"]].get("byteStride", dtype.itemsize * components)
        return np.ndarray(
            (count, components),
            dtype,
            self.view(location["bufferView"]),
            location.get("byteOffset", 0),
            (stride, dtype.itemsize),
        )
