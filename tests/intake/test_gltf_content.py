"""Checks of glTF's binary data: types and counts that fit their use, finite values, existing vertices and joints."""

import base64
import json
import struct
import tracemalloc
from typing import Any

import pytest

from farm.intake import content
from tests.intake.gltf_bytes import BINARY, admitted, glb, gltf, refused, triangle

POSITIONS, INDICES, MATRICES, TIMES, TRANSLATIONS = 0, 36, 44, 108, 116  # offsets in BINARY
NAN, INFINITY = float("nan"), float("inf")


def changed(offset: int, kind: str, value: float, document: dict[str, Any] | None = None) -> bytes:
    """The triangle as GLB with one value of its binary data replaced."""
    binary = bytearray(BINARY)
    struct.pack_into(f"<{kind}", binary, offset, value)
    return glb(document or triangle(), bytes(binary))


def with_attributes(attributes: dict[str, dict[str, Any]], *, skin: bool = False) -> dict[str, Any]:
    """The triangle with additional attributes, by name."""
    document, numbers = triangle(), {}
    if not skin:
        del document["nodes"][1]["skin"], document["skins"]
    for name, accessor in attributes.items():
        numbers[name] = len(document["accessors"])
        document["accessors"].append({"componentType": 5126, "count": 3} | accessor)
    document["meshes"][0]["primitives"][0]["attributes"] |= numbers
    return document


class TestFinite:
    @pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
    @pytest.mark.parametrize(
        ("offset", "accessor", "element", "use"),
        [
            (POSITIONS + 16, 0, 1, "meshes[0].primitives[0].attributes.POSITION"),
            (MATRICES + 60, 2, 0, "skins[0].inverseBindMatrices"),
            (TIMES + 4, 3, 1, "animations[0].samplers[0].input"),
            (TRANSLATIONS + 20, 4, 1, "animations[0].samplers[0].output"),
        ],
    )
    def test_refuses_values_that_are_not_finite(
        self, value: float, offset: int, accessor: int, element: int, use: str
    ) -> None:
        refused(changed(offset, "f", value), f"accessors[{accessor}] holds {value} in element {element}", use)

    def test_names_the_accessor_that_has_a_name(self) -> None:
        refused(changed(0, "f", NAN, triangle("accessors[0].name", "hull")), 'accessors[0] ("hull") holds nan')

    def test_refuses_weights_that_are_not_finite(self) -> None:
        document = with_attributes({"WEIGHTS_0": {"type": "VEC4", "bufferView": 2}})
        assert admitted(glb(document)) == "glb"
        refused(changed(MATRICES + 4, "f", NAN, document), "holds nan in element 0", "attributes.WEIGHTS_0")

    def test_refuses_morph_targets_that_are_not_finite(self) -> None:
        document = triangle("meshes[0].primitives[0].targets", [{"POSITION": 5}])
        document["accessors"].append({"bufferView": 2, "componentType": 5126, "count": 3, "type": "VEC3"})
        assert admitted(glb(document)) == "glb"
        refused(changed(MATRICES, "f", NAN, document), "accessors[5]", "meshes[0].primitives[0].targets[0].POSITION")

    def test_refuses_instances_that_are_not_finite(self) -> None:
        document = triangle("nodes[1].extensions", {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 0}}})
        document["meshes"][0]["primitives"] = []
        refused(changed(0, "f", NAN, document), "accessors[0]", "nodes[1].extensions.EXT_mesh_gpu_instancing")

    def test_refuses_replaced_elements_that_are_not_finite(self) -> None:
        sparse = {"count": 1, "indices": {"bufferView": 1, "componentType": 5123}, "values": {"bufferView": 2}}
        document = triangle("accessors[0].sparse", sparse)
        refused(changed(MATRICES + 4, "f", NAN, document), "accessors[0] holds nan", "POSITION")

    @pytest.mark.parametrize(("name", "kind"), [("NORMAL", "VEC3"), ("TANGENT", "VEC4"), ("_SCAN", "VEC3")])
    def test_accepts_degenerate_values_that_move_nothing(self, name: str, kind: str) -> None:
        document = with_attributes({name: {"type": kind, "bufferView": 2}})
        assert admitted(changed(MATRICES, "f", NAN, document)) == "glb"

    @pytest.mark.parametrize("size", [0, 400])
    def test_reads_the_embedded_buffers_of_a_gltf(self, size: int) -> None:
        document = json.loads(gltf(triangle()))
        for value in (0.5, NAN):
            binary = struct.pack("<f", value) + BINARY[4:] + bytes(size)
            document["buffers"][0] |= {"uri": "data:;base64," + base64.b64encode(binary).decode()}
            if value == 0.5:
                assert admitted(json.dumps(document).encode(), "model.gltf") == "gltf"
            else:
                refused(json.dumps(document).encode(), "accessors[0] holds nan in element 0", name="model.gltf")

    def test_finds_the_element_in_an_interleaved_view(self) -> None:
        count, stride = 100_000, 24
        rows = bytearray(count * stride)
        struct.pack_into("<f", rows, 77_777 * stride + 4, NAN)
        document = {
            "asset": {"version": "2.0"},
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "mode": 0}]}],
            "accessors": [{"bufferView": 0, "componentType": 5126, "count": count, "type": "VEC3"}],
            "bufferViews": [{"buffer": 0, "byteLength": len(rows), "byteStride": stride}],
            "buffers": [{"byteLength": len(rows)}],
        }
        refused(glb(document, bytes(rows)), "accessors[0] holds nan in element 77777")
        document["accessors"][0]["byteOffset"] = 12  # type: ignore[index]
        assert admitted(glb(document, bytes(rows))) == "glb"

    def test_checks_large_buffers_in_bounded_memory(self) -> None:
        count = 3_000_000
        document = {
            "asset": {"version": "2.0"},
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "mode": 0}]}],
            "accessors": [{"bufferView": 0, "componentType": 5126, "count": count, "type": "VEC3"}],
            "bufferViews": [{"buffer": 0, "byteLength": count * 12}],
        }
        data = bytes(count * 12)
        uri = "data:;base64," + base64.b64encode(data).decode()
        embedded = json.dumps(document | {"buffers": [{"byteLength": len(data), "uri": uri}]}).encode()
        for file, name in (
            (glb(document | {"buffers": [{"byteLength": len(data)}]}, data), "a.glb"),
            (embedded, "a.gltf"),
        ):
            tracemalloc.start()
            try:
                assert admitted(file, name) == name[2:]
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < 2 * content.PIECE_BYTES

    def test_refuses_accessors_that_overlap_a_thousandfold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(content, "MAX_READ_BYTES", 1000)
        assert admitted(glb(triangle())) == "glb"
        document = triangle("meshes[0].primitives", [{"attributes": {"POSITION": number}} for number in range(5, 35)])
        document["accessors"] += [document["accessors"][0]] * 30
        refused(glb(document), "they overlap")


class TestIndices:
    def test_refuses_an_index_without_a_vertex(self) -> None:
        refused(changed(INDICES + 2, "H", 3), "meshes[0].primitives[0] uses index 3 of 3 vertices")
        refused(changed(INDICES + 2, "H", 65535), "meshes[0].primitives[0] uses index 65535 of 3 vertices")

    @pytest.mark.parametrize(("component", "said"), [(5122, "componentType 5122"), (5126, "componentType 5126")])
    def test_refuses_indices_of_a_signed_type(self, component: int, said: str) -> None:
        document = triangle("accessors[1]", {"bufferView": 0, "componentType": component, "count": 3, "type": "SCALAR"})
        refused(glb(document), "meshes[0].primitives[0].indices", said)

    def test_refuses_a_replaced_element_that_does_not_exist(self) -> None:
        sparse = {"count": 1, "indices": {"bufferView": 1, "componentType": 5123}, "values": {"bufferView": 2}}
        document = triangle("accessors[0].sparse", sparse)
        document["meshes"][0]["primitives"][0].pop("indices")
        assert admitted(glb(document)) == "glb"
        refused(changed(INDICES, "H", 3, document), "accessors[0].sparse replaces element 3 of 3")

    @pytest.mark.parametrize(
        ("mode", "count", "needed"),
        [
            (1, 3, "a multiple of 2"),
            (2, 1, "at least 2"),
            (4, 2, "a multiple of 3"),
            (None, 1, "a multiple of 3"),
            (5, 2, "at least 3"),
            (6, 2, "at least 3"),
        ],
    )
    def test_refuses_a_count_that_its_mode_cannot_have(self, mode: int | None, count: int, needed: str) -> None:
        document = triangle("accessors[1].count", count)
        if mode is not None:
            document["meshes"][0]["primitives"][0]["mode"] = mode
        refused(glb(document), f"meshes[0].primitives[0] has {count} vertices", needed)


class TestJoints:
    @staticmethod
    def skinned(joint: int, component: int = 5121) -> bytes:
        joints = {"type": "VEC4", "componentType": component, "bufferView": 4}
        weights = {"type": "VEC4", "bufferView": 2}
        document = with_attributes({"JOINTS_0": joints, "WEIGHTS_0": weights}, skin=True)
        data = BINARY + bytes(11) + bytes([joint])
        document["bufferViews"].append({"buffer": 0, "byteOffset": len(BINARY), "byteLength": 12})
        document["buffers"][0]["byteLength"] = len(data)
        return glb(document, data)

    def test_refuses_a_joint_that_the_skin_lacks(self) -> None:
        assert admitted(self.skinned(0)) == "glb"
        refused(self.skinned(1), "meshes[0].primitives[0] uses joint 1 of the 1 of skins[0]")

    def test_refuses_joints_of_a_signed_type(self) -> None:
        refused(self.skinned(0, 5120), "attributes.JOINTS_0 has componentType 5120")

    def test_refuses_too_few_inverse_bind_matrices(self) -> None:
        document = triangle("skins[0].joints", [0, 2])
        refused(glb(document), "skins[0].inverseBindMatrices has 1 matrices for 2 joints")


class TestGeometry:
    @pytest.mark.parametrize(
        ("name", "kind", "allowed"),
        [
            ("NORMAL", "VEC4", "VEC3"),
            ("TANGENT", "VEC3", "VEC4"),
            ("TEXCOORD_0", "VEC3", "VEC2"),
            ("COLOR_1", "VEC2", "VEC3 or VEC4"),
            ("WEIGHTS_0", "SCALAR", "VEC4"),
        ],
    )
    def test_refuses_an_attribute_of_the_wrong_type(self, name: str, kind: str, allowed: str) -> None:
        document = with_attributes({name: {"type": kind}})
        refused(glb(document), f"attributes.{name} is of type {kind}, but must be {allowed}")

    @pytest.mark.parametrize("name", ["NORMAL", "TEXCOORD_3", "COLOR_0", "_SCAN"])
    def test_refuses_attributes_of_different_counts(self, name: str) -> None:
        kind = "VEC2" if name == "TEXCOORD_3" else "VEC3"
        document = with_attributes({name: {"type": kind, "count": 2}})
        refused(glb(document), f"meshes[0].primitives[0].attributes.{name} has 2 elements, the other attributes have 3")
        document = with_attributes({name: {"type": kind}})
        assert admitted(glb(document)) == "glb"

    def test_refuses_a_morph_target_of_another_count(self) -> None:
        document = triangle("meshes[0].primitives[0].targets", [{"POSITION": 4}])
        refused(glb(document), "targets[0].POSITION has 2 elements, the other attributes have 3")

    def test_refuses_primitives_with_different_numbers_of_targets(self) -> None:
        document = triangle("meshes[0].primitives[1]", {"attributes": {"POSITION": 0}, "targets": [{"POSITION": 0}]})
        refused(glb(document), "meshes[0] has primitives with different numbers of morph targets")

    def test_refuses_instances_of_different_counts(self) -> None:
        attributes = {"TRANSLATION": 0, "SCALE": 4}
        document = triangle("nodes[1].extensions", {"EXT_mesh_gpu_instancing": {"attributes": attributes}})
        refused(glb(document), "attributes.SCALE has 2 elements, the other attributes have 3")


class TestAnimations:
    @pytest.mark.parametrize(
        ("place", "value", "said"),
        [
            ("animations[0].channels[0].target.path", "rotation", "sampler.output is of type VEC3, but must be VEC4"),
            ("animations[0].samplers[0].interpolation", "CUBICSPLINE", "has 2 values, but its 2 times need 6"),
            ("animations[0].samplers[0].output", 0, "has 3 values, but its 2 times need 2"),
            ("animations[0].samplers[0].input", 1, "sampler.input has componentType 5123"),
        ],
    )
    def test_refuses_values_that_do_not_fit_their_times(self, place: str, value: object, said: str) -> None:
        refused(glb(triangle(place, value)), "animations[0].channels[0]", said)

    def test_accepts_a_channel_of_an_unknown_path(self) -> None:
        assert admitted(glb(triangle("animations[0].channels[0].target.path", "pointer"))) == "glb"
