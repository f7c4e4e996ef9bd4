"""The sample models have the contents that tests/assets/README.md lists."""

import json
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from farm.intake.check import check_model
from tests.support.assets import ASSETS

MODELS = sorted(path for path in ASSETS.iterdir() if path.suffix in {".glb", ".gltf"})
SAMPLES = sorted([*MODELS, *ASSETS.glob("*.zip")])


def document(name: str) -> dict[str, Any]:
    """The JSON of a sample."""
    content = (ASSETS / name).read_bytes()
    if name.endswith(".glb"):
        (length,) = struct.unpack("<I", content[12:16])
        content = content[20 : 20 + length]
    read: dict[str, Any] = json.loads(content)
    return read


def test_readme_lists_every_sample() -> None:
    rows = [line for line in (ASSETS / "README.md").read_text().splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == [path.name for path in SAMPLES]


def test_samples_are_small_in_total() -> None:
    assert sum(path.stat().st_size for path in SAMPLES) < 1_500_000


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_intake_accepts_every_model(path: Path) -> None:
    assert check_model(path, path.name).format == path.suffix.removeprefix(".")


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_only_no_mesh_has_no_mesh(path: Path) -> None:
    assert bool(document(path.name).get("meshes")) == (path.name != "no_mesh.glb")


def test_product_has_metal_plastic_and_two_textures() -> None:
    product = document("product.glb")
    metallic = {
        material["name"]: material["pbrMetallicRoughness"].get("metallicFactor", 1.0)
        for material in product["materials"]
    }
    assert metallic["Brushed steel"] == 1.0
    assert metallic["Coral plastic"] == 0.0
    assert [image["mimeType"] for image in product["images"]] == ["image/jpeg"] * 2
    assert sum("baseColorTexture" in material["pbrMetallicRoughness"] for material in product["materials"]) == 2


def test_walker_is_skinned_and_loops_in_one_second() -> None:
    walker = document("walker.glb")
    (clip,) = walker["animations"]
    assert clip["name"] == "Walk"
    times = [walker["accessors"][sampler["input"]] for sampler in clip["samplers"]]
    assert min(time["min"][0] for time in times) == 0.0
    assert max(time["max"][0] for time in times) == pytest.approx(1.0)
    skinned = [node for node in walker["nodes"] if "skin" in node]
    assert [node["name"] for node in skinned] == ["Walker"]
    animated = {channel["target"]["node"] for channel in clip["channels"]}
    assert animated
    assert animated <= set(walker["skins"][skinned[0]["skin"]]["joints"])
    for sampler in clip["samplers"]:
        first, last = _first_and_last(walker, sampler["output"])
        assert first == pytest.approx(last, abs=1e-5)


def _first_and_last(gltf: dict[str, Any], number: int) -> tuple[list[float], list[float]]:
    """The first and the last value of an accessor of floats in a tightly packed GLB."""
    accessor = gltf["accessors"][number]
    view = gltf["bufferViews"][accessor["bufferView"]]
    width = {"VEC3": 3, "VEC4": 4}[accessor["type"]]
    content = (ASSETS / "walker.glb").read_bytes()
    (json_length,) = struct.unpack("<I", content[12:16])
    start = 20 + json_length + 8 + view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    values = struct.unpack_from(f"<{width * accessor['count']}f", content, start)
    return list(values[:width]), list(values[-width:])


def test_draco_requires_draco_and_has_a_texture() -> None:
    draco = document("draco.glb")
    assert draco["extensionsRequired"] == ["KHR_draco_mesh_compression"]
    assert len(draco["images"]) == 1


def test_embedded_has_its_buffer_and_image_as_data_uris() -> None:
    embedded = document("embedded.gltf")
    assert len(embedded["buffers"]) == len(embedded["images"]) == 1
    assert all(part["uri"].startswith("data:") for part in [*embedded["buffers"], *embedded["images"]])


def test_no_mesh_has_one_empty_node() -> None:
    assert document("no_mesh.glb")["nodes"] == [{"name": "Nothing"}]


def test_scan_has_one_obj_with_material_and_texture() -> None:
    with zipfile.ZipFile(ASSETS / "scan.zip") as archive:
        assert sorted(archive.namelist()) == ["stone.jpg", "stone.mtl", "stone.obj"]
        assert b"mtllib stone.mtl" in archive.read("stone.obj")
        assert b"map_Kd stone.jpg" in archive.read("stone.mtl")
        assert Image.open(BytesIO(archive.read("stone.jpg"))).size == (256, 256)
