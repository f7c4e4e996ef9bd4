"""What a document stands for is limited: for each use, as Blender builds it, and not for each accessor."""

import copy
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.errors import InvalidFormat
from farm.intake import draco
from farm.intake.check import check_model
from farm.settings import DEFAULT_LIMITS, ModelLimits, Settings
from tests.intake.gltf_bytes import glb, triangle
from tests.support.assets import ASSETS
from tests.support.glb import binary_chunk, container, json_chunk
from tests.support.hostile_documents import draco_header, draco_shared, with_draco

PRIMITIVE = {"attributes": {"POSITION": 0}, "indices": 1}
ZEROS = {"componentType": 5126, "count": 5000, "type": "VEC3"}


def check(content: bytes, folder: Path, **limits: int) -> None:
    """Check a GLB with these limits, and all others at their defaults. Raises InvalidFormat."""
    path = folder / "model.glb"
    path.write_bytes(content)
    check_model(path, path.name, ModelLimits(**limits))


def instanced(count: int) -> dict[str, Any]:
    document = triangle("nodes[1].extensions", {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 5}}})
    document["accessors"].append(ZEROS | {"count": count})
    return document


def morphed(targets: int) -> dict[str, Any]:
    return triangle("meshes[0].primitives[0].targets", [{"POSITION": 0}] * targets)


CASES: list[tuple[str, dict[str, Any], int, str]] = [
    ("max_nodes", triangle(), 3, "nodes"),
    ("max_scenes", triangle("scenes", [{}, {}]), 2, "scenes"),
    ("max_meshes", triangle("meshes[1]", {"primitives": []}), 2, "meshes"),
    ("max_primitives", triangle("meshes[0].primitives", [PRIMITIVE] * 4), 4, "mesh primitives"),
    ("max_materials", triangle("materials[1]", {}), 2, "materials"),
    ("max_clips", triangle("animations[1]", {"channels": [], "samplers": []}), 2, "animation clips"),
    ("max_joints", triangle("skins[0].joints", [0, 1]) | {"skins": [{"joints": [0, 1]}]}, 2, "joints"),
    ("max_keyframes", triangle(), 2, "keyframes"),
    ("max_instances", instanced(4), 4, "instances"),
    ("max_vertices", triangle(), 3, "vertices"),
    ("max_vertices", instanced(5), 15, "vertices"),
    ("max_triangles", triangle(), 1, "triangles"),
    ("max_triangles", triangle("meshes[0].primitives", [PRIMITIVE] * 4), 4, "triangles"),
    ("max_triangles", triangle("nodes[0].mesh", 0), 2, "triangles"),
    ("max_triangles", instanced(7), 7, "triangles"),
    ("max_morph_vertices", morphed(3), 9, "vertices of morph targets"),
    # 3 corners of 4 bytes, 3 positions of 12
    ("max_decoded_bytes", triangle(), 48, "bytes of geometry"),
    ("max_decoded_bytes", triangle("nodes[0].mesh", 0), 96, "bytes of geometry"),
    ("max_decoded_bytes", morphed(2), 48 + 2 * 36, "bytes of geometry"),
    ("max_pictures", triangle(), 1, "pictures"),
    ("max_texture_pixels", triangle(), 1, "pixels in its textures"),
]


@pytest.mark.parametrize(("limit", "document", "found", "what"), CASES)
def test_counts_what_the_model_has(tmp_path: Path, limit: str, document: dict[str, Any], found: int, what: str) -> None:
    content = glb(document)
    check(content, tmp_path, **{limit: found})
    if found > 1:
        with pytest.raises(InvalidFormat, match=f"has {found} {what}.*: {found - 1} are allowed"):
            check(content, tmp_path, **{limit: found - 1})


class TestUses:
    def test_counts_an_attribute_for_all_primitives_of_the_mesh(self, tmp_path: Path) -> None:
        # Blender fills it with zeros where a primitive lacks it.
        primitives = [PRIMITIVE, {"attributes": {"POSITION": 0, "_EXTRA": 0}, "indices": 1}]
        content = glb(triangle("meshes[0].primitives", primitives))
        check(content, tmp_path, max_decoded_bytes=2 * 48 + 6 * 12)
        with pytest.raises(InvalidFormat, match="has 168 bytes of geometry"):
            check(content, tmp_path, max_decoded_bytes=2 * 48 + 6 * 12 - 1)

    def test_counts_vertices_that_primitives_share_by_their_indices(self, tmp_path: Path) -> None:
        many = ZEROS | {"count": 900}
        document = triangle("accessors[0]", many)
        document["meshes"][0]["primitives"] = [PRIMITIVE] * 10
        check(glb(document), tmp_path, max_vertices=30)

    @pytest.mark.parametrize("is_sparse", [True, False])
    def test_counts_zeros_for_each_primitive(self, tmp_path: Path, is_sparse: bool) -> None:
        sparse = {"count": 1, "indices": {"bufferView": 1, "componentType": 5123}, "values": {"bufferView": 0}}
        document = triangle("accessors[0]", ZEROS | ({"sparse": sparse} if is_sparse else {}))
        document["meshes"][0]["primitives"] = [PRIMITIVE] * 50_000
        with pytest.raises(InvalidFormat, match=r"has 3,\d{3},\d{3},\d{3} bytes of geometry"):
            check(glb(document), tmp_path, max_primitives=50_000)

    def test_counts_triangle_strips_by_their_triangles(self, tmp_path: Path) -> None:
        document = triangle("meshes[0].primitives[0]", {"attributes": {"POSITION": 0}, "mode": 5})
        document["accessors"][0]["count"] = 3
        with pytest.raises(InvalidFormat, match="has 3 triangles"):
            check(glb(document), tmp_path, max_triangles=2)


def draco_model() -> tuple[dict[str, Any], bytes]:
    """The document and the binary chunk of a good model."""
    content = (ASSETS / "draco.glb").read_bytes()
    (size,) = struct.unpack_from("<I", content, 12)
    return json.loads(content[20 : 20 + size]), content[20 + size :]


def draco_data() -> bytes:
    """Draco's data of a primitive of a good model."""
    document, chunk = draco_model()
    view = document["bufferViews"][compression(document["meshes"][0])["bufferView"]]
    return chunk[8 + view.get("byteOffset", 0) :][: view["byteLength"]]


def compression(mesh: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = mesh["primitives"][0]["extensions"]["KHR_draco_mesh_compression"]
    return found


class TestDraco:
    def test_passes_a_good_model(self, tmp_path: Path) -> None:
        check((ASSETS / "draco.glb").read_bytes(), tmp_path)

    @pytest.mark.parametrize("primitives", [1, 2])
    def test_counts_an_accessor_that_a_plain_primitive_names_too(self, tmp_path: Path, primitives: int) -> None:
        with pytest.raises(InvalidFormat, match="vertices, counted for each use of a mesh"):
            check(draco_shared(30_000_000, primitives), tmp_path)

    @pytest.mark.parametrize("method", [0, 1])
    def test_counts_what_the_header_states(self, tmp_path: Path, method: int) -> None:
        content = with_draco(draco_header(method, 3, 12_345_678) + bytes(100))
        with pytest.raises(InvalidFormat, match="has 12,345,678 triangles"):
            check(content, tmp_path)

    def test_counts_what_is_decoded(self, tmp_path: Path) -> None:
        """With metadata, whose length is unknown, before the counts of the header."""
        data = draco_data()
        with_metadata = with_draco(data[:9] + b"\0\x80" + bytes(3) + data[11:])
        check(with_metadata, tmp_path)
        with pytest.raises(InvalidFormat, match=r"has \d+ triangles"):
            check(with_metadata, tmp_path, max_triangles=10)

    @pytest.mark.parametrize(
        ("data", "problem"),
        [
            (b"DRACO", "is not Draco's"),
            (b"OBJ" + bytes(20), "is not Draco's"),
            (draco_header(1, 3, 1, (2, 1)) + bytes(9), "is not a mesh of Draco 2.2"),
            (draco_header(2, 3, 1), "is not a mesh of Draco 2.2"),
            (draco_header(0, 3, 1)[:11] + b"\xff" * 30, "ends in its header"),
            (draco_header(0, 3, 1) + bytes(30), "cannot be decoded"),
        ],
    )
    def test_refuses_other_data(self, tmp_path: Path, data: bytes, problem: str) -> None:
        with pytest.raises(InvalidFormat, match=problem):
            check(with_draco(data), tmp_path)

    def test_is_not_decoded_for_a_mesh_that_no_node_has(self, tmp_path: Path) -> None:
        """Blender's importer leaves it out, too. Damaged data shows whether the check decodes it."""
        document, chunk = draco_model()
        document["bufferViews"].append({"buffer": 0, "byteOffset": 0, "byteLength": 40})
        unseen = copy.deepcopy(document["meshes"][0])
        compression(unseen)["bufferView"] = len(document["bufferViews"]) - 1
        document["meshes"].append(unseen)
        check(container(json_chunk(document), chunk), tmp_path)
        document["nodes"].append({"mesh": 1})
        with pytest.raises(InvalidFormat, match="Draco"):
            check(container(json_chunk(document), chunk), tmp_path)

    @pytest.mark.parametrize("copies", [1, 40])
    def test_is_decoded_once_for_equal_data(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: int) -> None:
        decoded = []
        decode = draco._decode

        def count(data: bytes, path: str) -> tuple[int, int]:
            decoded.append(path)
            return decode(data, path)

        monkeypatch.setattr(draco, "_decode", count)
        document, chunk = draco_model()
        mesh = document["meshes"][0]
        view = document["bufferViews"][compression(mesh)["bufferView"]]
        for _ in range(copies - 1):
            document["bufferViews"].append(dict(view))
            same = copy.deepcopy(mesh)
            compression(same)["bufferView"] = len(document["bufferViews"]) - 1
            mesh["primitives"] += same["primitives"][:1]
        check(container(json_chunk(document), chunk), tmp_path)
        assert len(decoded) == 1

    def test_refuses_a_primitive_without_indices(self, tmp_path: Path) -> None:
        document, chunk = draco_model()
        del document["meshes"][0]["primitives"][0]["indices"]
        with pytest.raises(InvalidFormat, match="is compressed by Draco, but has no indices"):
            check(container(json_chunk(document), chunk), tmp_path)


def test_passes_a_large_honest_model(tmp_path: Path) -> None:
    """4 million triangles in 95 MB."""
    side = 1415
    x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    positions = np.stack([x, y, np.sin(x / 50)], axis=-1)
    corners = np.arange(side * side, dtype=np.uint32).reshape(side, side)
    quads = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=-1).reshape(-1, 4)
    indices = quads[:, [0, 1, 2, 0, 2, 3]]
    colors = np.full((side * side, 4), 200, np.uint8)
    parts = [positions.tobytes(), indices.tobytes(), colors.tobytes(), colors.tobytes()]
    starts = [sum(map(len, parts[:number])) for number in range(len(parts))]
    document = {
        "asset": {"version": "2.0"},
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 2, "_ID": 3}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": side * side, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": indices.size, "type": "SCALAR"},
            {"bufferView": 2, "componentType": 5121, "normalized": True, "count": side * side, "type": "VEC4"},
            {"bufferView": 3, "componentType": 5121, "count": side * side, "type": "VEC4"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": len(part)}
            for start, part in zip(starts, parts, strict=True)
        ],
        "buffers": [{"byteLength": sum(map(len, parts))}],
    }
    content = container(json_chunk(document), binary_chunk(b"".join(parts)))
    assert len(content) > 85 * 10**6
    assert indices.size // 3 > 3_990_000
    check(content, tmp_path)


def test_the_settings_have_the_same_defaults() -> None:
    assert DEFAULT_LIMITS.max_triangles == Settings().max_triangles >= 2 * 4_000_000
