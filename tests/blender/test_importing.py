"""Import of glTF: which nodes are drawn, and the errors of Blender's importer."""

import struct
from pathlib import Path
from typing import Any

import pytest

from farm.errors import BadModel
from tests.blender.models import Point, box
from tests.support.blender import InsideBlender
from tests.support.glb import binary_chunk, container, glb, json_chunk

pytestmark = pytest.mark.slow
HIDDEN = {"extensions": {"KHR_node_visibility": {"visible": False}}}
SHOWN = {"extensions": {"KHR_node_visibility": {"visible": True}}}


def document_of(points: list[Point], **parts: Any) -> tuple[dict[str, Any], bytes]:
    """A document whose mesh 0 is of these points, with other parts added or replaced."""
    data = b"".join(struct.pack("<3f", *point) for point in points)
    accessor = {"bufferView": 0, "componentType": 5126, "count": len(points), "type": "VEC3"}
    document = {
        "asset": {"version": "2.0"},
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [accessor | {"min": [0, 0, 0], "max": [1, 1, 1]}],
        "bufferViews": [{"buffer": 0, "byteLength": len(data)}],
        "buffers": [{"byteLength": len(data)}],
    }
    return document | parts, data


def imported(path: str) -> list[str]:
    """The names of the imported meshes, or the error's message. Runs in a process with bpy."""
    import bpy

    from farm.blender.importing import import_model

    bpy.ops.wm.read_factory_settings(use_empty=True)
    try:
        found = import_model(Path(path)).objects
    except BadModel as error:
        return [error.message]
    meshes = [item for item in found if item.type == "MESH"]
    assert not set(meshes) - set(bpy.context.view_layer.objects), "an object outside the view layer is not drawn"
    return sorted(mesh.name for mesh in meshes)


def drawn(inside: InsideBlender, folder: Path, **parts: Any) -> list[str]:
    document, data = document_of(box((0, 0, 0), (1, 1, 1)), **parts)
    path = folder / "model.glb"
    path.write_bytes(container(json_chunk(document), binary_chunk(data)))
    return inside(imported, str(path))


class TestDrawnNodes:
    NODES = (
        {"name": "a", "mesh": 0, "children": [1]},
        {"name": "b", "mesh": 0},
        {"name": "c", "mesh": 0, "children": [3]},
        {"name": "d", "mesh": 0},
    )
    SCENES = ({"nodes": [0]}, {"nodes": [2]}, {"name": "empty"})

    @pytest.mark.parametrize(
        ("parts", "names"),
        [
            ({"scenes": SCENES}, ["a", "b"]),
            ({"scenes": SCENES, "scene": 0}, ["a", "b"]),
            ({"scenes": SCENES, "scene": 1}, ["c", "d"]),
            ({"scenes": [{"nodes": [0, 2]}, {"nodes": [2]}], "scene": 1}, ["c", "d"]),
            ({"scenes": [{"nodes": [0]}]}, ["a", "b"]),
            ({}, ["a", "b", "c", "d"]),
        ],
    )
    def test_are_those_of_one_scene(
        self, inside: InsideBlender, tmp_path: Path, parts: dict[str, Any], names: list[str]
    ) -> None:
        assert drawn(inside, tmp_path, nodes=self.NODES, **parts) == names

    def test_refuses_a_scene_without_a_mesh(self, inside: InsideBlender, tmp_path: Path) -> None:
        [message] = drawn(inside, tmp_path, nodes=self.NODES, scenes=self.SCENES, scene=2)
        assert message.startswith("The model has no mesh")

    @pytest.mark.parametrize("required", [[], ["KHR_node_visibility"]])
    @pytest.mark.parametrize(
        ("hidden", "shown", "names"), [([0], [1], ["c", "d"]), ([1], [0], ["a", "c", "d"]), ([0, 3], [], ["c"])]
    )
    def test_are_visible_with_all_their_ancestors(
        self, inside: InsideBlender, tmp_path: Path, required: list[str], hidden: list[int], shown: list[int],
        names: list[str],
    ) -> None:  # fmt: skip
        nodes = [
            node | (HIDDEN if number in hidden else SHOWN if number in shown else {})
            for number, node in enumerate(self.NODES)
        ]
        parts = {"extensionsUsed": ["KHR_node_visibility"], "extensionsRequired": required}
        assert drawn(inside, tmp_path, nodes=nodes, **parts) == names


class TestErrors:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (glb(scene=0, extensionsUsed=["X_y"], extensionsRequired=["X_y"]), "Extension X_y is not available"),
            (b"glTF", "requires a buffer of at least 12 bytes"),
            (glb(nodes=[{"mesh": 0}], meshes=[{"primitives": [{"attributes": {"POSITION": 7}}]}]), "it is damaged"),
        ],
    )
    def test_are_about_the_model(self, inside: InsideBlender, tmp_path: Path, content: bytes, message: str) -> None:
        path = tmp_path / "model.glb"
        path.write_bytes(content)
        [error] = inside(imported, str(path))
        assert error.startswith("Blender cannot read the model: ")
        assert message in error
        assert not any(word in error for word in ("/", "Traceback", "Error", "line", "Location", "Python", "\n"))
