"""The schema of glTF: types, indices, byte ranges, and the tree of nodes."""

from typing import Any

import pytest

from tests.intake.gltf_bytes import BINARY, admitted, glb, gltf, refused, triangle, triangle_without
from tests.support.glb import chunk, container, json_chunk


def test_accepts_the_triangle_itself() -> None:
    assert admitted(glb(triangle())) == "glb"
    assert admitted(gltf(triangle()), "model.gltf") == "gltf"


def test_accepts_a_file_without_a_mesh() -> None:
    assert admitted(glb({"asset": {"version": "2.0"}, "nodes": [{"name": "Nothing"}]}, None)) == "glb"


class TestTypes:
    @pytest.mark.parametrize(
        ("place", "value", "must_be"),
        [
            ("scenes", {}, "must be an array"),
            ("nodes", None, "must be an array, not null"),
            ("nodes[0]", 7, "must be an object, not 7"),
            ("nodes[0].children", {"0": 1}, "must be an array"),
            ("nodes[0].name", 7, "must be text"),
            ("nodes[0].translation", "0 0 0", "must be an array"),
            ("nodes[0].translation", [0, 0], "must have 3 entries, not 2"),
            ("nodes[0].rotation", [0, 0, 0], "must have 4 entries"),
            ("nodes[0].matrix", [1] * 15, "must have 16 entries"),
            ("nodes[0].extensions", [], "must be an object"),
            ("nodes[0].scale", [1, 1e39, 1], "nodes[0].scale[1] is 1e+39, too large a number"),
            ("nodes[0].extensions", {"KHR_lights_punctual": 1}, "KHR_lights_punctual must be an object"),
            ("nodes[0].extensions", {"KHR_node_visibility": {"visible": 0}}, "visible must be true or false"),
            ("meshes[0].primitives", 1, "must be an array"),
            ("meshes[0].primitives[0].attributes", [0], "must be an object"),
            ("meshes[0].primitives[0].mode", 7, "must be a whole number from 0 to 6"),
            ("meshes[0].primitives[0].targets", [[0]], "targets[0] must be an object"),
            ("materials[0].doubleSided", 1, "must be true or false"),
            ("materials[0].alphaCutoff", True, "must be a number, not true"),
            ("materials[0].pbrMetallicRoughness", [], "must be an object"),
            ("materials[0].pbrMetallicRoughness.metallicFactor", "1", "must be a number"),
            ("accessors[0].type", "VEC5", 'is "VEC5", but must be one of'),
            ("accessors[0].type", ["VEC3"], "must be one of"),
            ("accessors[0].componentType", 5124, "must be one of 5120"),
            ("accessors[0].componentType", True, "must be one of"),
            ("accessors[0].count", 3.0, "must be a whole number of at least 1, not 3.0"),
            ("accessors[0].count", True, "must be a whole number"),
            ("accessors[0].count", 0, "must be a whole number of at least 1"),
            ("accessors[0].byteOffset", -4, "must be a whole number of at least 0"),
            ("accessors[0].min", [None], "min[0] must be a number"),
            ("accessors[0].sparse", [], "must be an object"),
            ("bufferViews[0].byteLength", -1, "must be a whole number"),
            ("bufferViews[0].byteStride", 0, "must be a whole number from 1 to 252"),
            ("buffers[0].byteLength", "140", "must be a whole number"),
            ("cameras[0].perspective.yfov", None, "must be a number, not null"),
            ("animations[0].channels[0].target.path", 3, "must be text"),
            ("asset.generator", 3, "must be text"),
        ],
    )
    def test_are_refused_with_the_path_if_wrong(self, place: str, value: object, must_be: str) -> None:
        refused(glb(triangle(place, value)), place, must_be)

    @pytest.mark.parametrize(
        ("place", "field"),
        [
            ("meshes[0]", "primitives"),
            ("meshes[0].primitives[0]", "attributes"),
            ("accessors[0]", "count"),
            ("accessors[0]", "type"),
            ("accessors[0]", "componentType"),
            ("bufferViews[0]", "buffer"),
            ("buffers[0]", "byteLength"),
            ("skins[0]", "joints"),
            ("animations[0]", "samplers"),
            ("animations[0].channels[0]", "target"),
            ("animations[0].samplers[0]", "input"),
            ("cameras[0]", "type"),
        ],
    )
    def test_require_mandatory_fields(self, place: str, field: str) -> None:
        refused(glb(triangle_without(f"{place}.{field}")), f"{place} lacks '{field}'")

    def test_are_ignored_in_fields_that_blender_ignores(self) -> None:
        assert admitted(glb(triangle("nodes[0].extras", [None, {"extensions": 3, "mesh": "a"}]))) == "glb"


class TestIndices:
    PLACES = (
        "scene",
        "scenes[0].nodes[0]",
        "nodes[0].children[0]",
        "nodes[1].mesh",
        "nodes[1].skin",
        "nodes[2].camera",
        "meshes[0].primitives[0].attributes.POSITION",
        "meshes[0].primitives[0].indices",
        "meshes[0].primitives[0].material",
        "materials[0].pbrMetallicRoughness.baseColorTexture.index",
        "textures[0].source",
        "textures[0].sampler",
        "skins[0].joints[0]",
        "skins[0].skeleton",
        "skins[0].inverseBindMatrices",
        "animations[0].channels[0].sampler",
        "animations[0].channels[0].target.node",
        "animations[0].samplers[0].input",
        "animations[0].samplers[0].output",
        "accessors[0].bufferView",
        "bufferViews[0].buffer",
    )

    @pytest.mark.parametrize("place", PLACES)
    def test_are_refused_if_out_of_range(self, place: str) -> None:
        refused(glb(triangle(place, 5)), f"{place} is 5, but ")

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("value", [-1, True, False, 0.0, "0", None, [0], 10**30])
    def test_are_refused_if_they_are_no_integers(self, place: str, value: object) -> None:
        refused(glb(triangle(place, value)), place)

    @pytest.mark.parametrize(
        ("place", "extension"),
        [
            ("nodes[0]", {"KHR_lights_punctual": {"light": 0}}),
            ("nodes[0]", {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 9}}}),
            ("textures[0]", {"EXT_texture_webp": {"source": 9}}),
            ("materials[0]", {"KHR_materials_sheen": {"sheenColorTexture": {"index": 9}}}),
            ("meshes[0].primitives[0]", {"KHR_draco_mesh_compression": {"bufferView": 9, "attributes": {}}}),
            ("meshes[0].primitives[0]", {"KHR_materials_variants": {"mappings": [{"material": 9, "variants": [0]}]}}),
        ],
    )
    def test_are_checked_in_extensions(self, place: str, extension: dict[str, Any]) -> None:
        (name,) = extension
        refused(glb(triangle(f"{place}.extensions", extension)), f"{place}.extensions.{name}", "entries")

    def test_accept_an_existing_light(self) -> None:
        document = triangle("nodes[0].extensions", {"KHR_lights_punctual": {"light": 0}})
        document["extensions"] = {"KHR_lights_punctual": {"lights": [{"type": "point"}]}}
        assert admitted(glb(document)) == "glb"

    def test_are_checked_in_morph_targets(self) -> None:
        place = "meshes[0].primitives[0].targets"
        assert admitted(glb(triangle(place, [{"POSITION": 0}]))) == "glb"
        refused(glb(triangle(place, [{"POSITION": 0}, {"POSITION": 9}])), f"{place}[1].POSITION is 9")


class TestData:
    def test_is_refused_in_a_buffer_beyond_the_bin_chunk(self) -> None:
        document = triangle("buffers[0].byteLength", len(BINARY) + 4)
        refused(glb(document), f"buffers[0] declares {len(BINARY) + 4} bytes but holds {len(BINARY)}")

    def test_is_refused_in_a_buffer_without_data(self) -> None:
        refused(glb(triangle(), None), "buffers[0] has no data")
        refused(container(json_chunk(triangle()), chunk(b"XTRA", BINARY)), "buffers[0] has no data")

    def test_is_refused_in_a_second_buffer_without_uri(self) -> None:
        refused(glb(triangle("buffers[1]", {"byteLength": 4})), "buffers[1] has no data")

    def test_is_refused_in_a_gltf_buffer_without_uri(self) -> None:
        content = b'{"asset":{"version":"2.0"},"buffers":[{"byteLength":4}]}'
        refused(content, "buffers[0] has no data", "data: URI", name="model.gltf")

    @pytest.mark.parametrize("view", [{"byteOffset": 1}, {"byteLength": len(BINARY) + 1}, {"byteOffset": 10**30}])
    def test_is_refused_in_a_view_outside_its_buffer(self, view: dict[str, int]) -> None:
        refused(glb(triangle("bufferViews[0]", {"buffer": 0, "byteLength": len(BINARY)} | view)), "bufferViews[0] ends")

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            ("accessors[0].count", 4),
            ("accessors[0].byteOffset", 1),
            ("accessors[0].type", "VEC4"),
            ("accessors[1].componentType", 5125),
            ("accessors[4].byteOffset", 12),
            ("accessors[0].count", 10**30),
        ],
    )
    def test_is_refused_in_an_accessor_outside_its_view(self, place: str, value: object) -> None:
        refused(glb(triangle(place, value)), place.split(".")[0], "of a bufferView of")

    def test_is_accepted_without_a_stride_after_the_last(self) -> None:
        document = triangle("bufferViews[3]", {"buffer": 0, "byteOffset": 108, "byteLength": 32, "byteStride": 28})
        document["accessors"][4] = {"bufferView": 3, "componentType": 5126, "count": 2, "type": "SCALAR"}
        document["animations"] = []
        assert admitted(glb(document)) == "glb"
        document["accessors"][4]["count"] = 3
        refused(glb(document), "accessors[4] ends at byte 60 of a bufferView of 32")

    @pytest.mark.parametrize("stride", [8, 14])
    def test_is_refused_with_a_stride_that_is_too_small(self, stride: int) -> None:
        refused(glb(triangle("bufferViews[0].byteStride", stride)), "accessors[0]", f"byteStride of {stride}")

    def test_is_required_exactly_once_in_an_image(self) -> None:
        refused(glb(triangle("images[0]", {"name": "Picture"})), "images[0] needs either")
        refused(glb(triangle("images[0].bufferView", 0)), "images[0] needs either")

    def test_is_limited_for_implicit_zeros(self) -> None:
        zeros = {"componentType": 5126, "count": 10**6, "type": "VEC3"}
        assert admitted(glb(triangle("accessors[0]", zeros))) == "glb"
        refused(glb(triangle("accessors[0]", zeros | {"count": 10**8})), "accessors[0]", "zeros are not accepted")


class TestSparse:
    # Reuses the triangle's data: one replaced position, whose index is one of the triangle's.
    SPARSE: dict[str, Any] = {  # noqa: RUF012
        "count": 1,
        "indices": {"bufferView": 1, "componentType": 5123},
        "values": {"bufferView": 0},
    }

    def test_is_accepted_within_its_views(self) -> None:
        assert admitted(glb(triangle("accessors[0].sparse", self.SPARSE))) == "glb"

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"count": 4}, "sparse.count is 4, more than the accessor's 3"),
            ({"count": 0}, "sparse.count must be a whole number"),
            ({"indices": {"bufferView": 9, "componentType": 5123}}, "sparse.indices.bufferView is 9"),
            ({"indices": {"bufferView": 1, "componentType": 5126}}, "sparse.indices.componentType is 5126"),
            ({"indices": {"bufferView": 1, "componentType": 5123, "byteOffset": 6}}, "sparse.indices ends at byte 8"),
            ({"indices": {"bufferView": 1}}, "sparse.indices lacks 'componentType'"),
            ({"values": {"bufferView": 9}}, "sparse.values.bufferView is 9"),
            ({"values": {"bufferView": 0, "byteOffset": 28}}, "sparse.values ends at byte 40"),
            ({"values": None}, "sparse.values must be an object, not null"),
        ],
    )
    def test_is_refused_if_wrong(self, change: dict[str, Any], said: str) -> None:
        refused(glb(triangle("accessors[0].sparse", self.SPARSE | change)), f"accessors[0].{said}")


class TestNodeTree:
    def test_refuses_a_node_that_is_its_own_child(self) -> None:
        refused(glb(triangle("nodes[0].children", [0])), "nodes[0] is its own ancestor")

    def test_refuses_a_cycle(self) -> None:
        refused(glb(triangle("nodes[1].children", [0])), "is its own ancestor")

    def test_refuses_a_node_with_two_parents(self) -> None:
        refused(glb(triangle("nodes[2].children", [1])), "nodes[2].children[0]", "already a child of node 0")

    @pytest.mark.parametrize("first_is_root", [True, False])
    def test_is_limited_in_depth(self, first_is_root: bool) -> None:
        nodes: list[dict[str, Any]] = [{"children": [number + 1]} for number in range(199)] + [{}]
        if not first_is_root:
            nodes = [{}] + [{"children": [number]} for number in range(199)]
        assert admitted(glb({"asset": {"version": "2.0"}, "nodes": nodes}, None)) == "glb"
        nodes += [{"children": [0 if first_is_root else 199]}]
        refused(glb({"asset": {"version": "2.0"}, "nodes": nodes}, None), "is 201 levels deep: 200 are allowed")

    @pytest.mark.parametrize(("nodes", "reason"), [([0, 1], "a child of node 0"), ([0, 2, 0], "in the scene twice")])
    def test_has_scenes_of_different_roots(self, nodes: list[int], reason: str) -> None:
        refused(glb(triangle("scenes[0].nodes", nodes)), f"scenes[0].nodes[{len(nodes) - 1}] is node", reason)
