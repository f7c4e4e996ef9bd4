"""Models for measuring datasets: flat shaded, and none of them upright, centred or of unit size."""

import io
import zipfile
from pathlib import Path
from typing import Any

import trimesh

from tests.blender.models import Point, box, glb
from tests.support.assets import ASSETS

SCAN = ASSETS / "scan.zip"
# Turned by 30 degrees about (1, 2, 2) / 3, stretched, moved.
ASKEW = {
    "mesh": 0,
    "rotation": [0.0862729, 0.1725459, 0.1725459, 0.9659258],
    "scale": [1.5, 0.8, 1.1],
    "translation": [3.0, -2.0, 0.7],
}


# Reflects no light at all.
BLACK = {
    "pbrMetallicRoughness": {"baseColorFactor": [0, 0, 0, 1], "metallicFactor": 0},
    "extensions": {"KHR_materials_specular": {"specularFactor": 0}},
}


def concave(folder: Path, material: dict[str, Any] | None = None) -> Path:
    """An armchair: a seat, a back and two arms, which occlude each other."""
    parts = [
        box((-1.0, 0.0, -1.0), (1.0, 0.4, 1.0)),
        box((-1.0, 0.4, -1.0), (1.0, 1.8, -0.6)),
        box((-1.0, 0.4, -0.6), (-0.7, 1.0, 1.0)),
        box((0.7, 0.4, -0.6), (1.0, 1.0, 1.0)),
    ]
    points = [point for part in parts for point in part]
    return glb(folder / "concave.glb", points, nodes=[ASKEW], material=material)


def thin(folder: Path) -> Path:
    """A rack: rods and a shelf only a few pixels thick."""
    rods: list[Point] = []
    for step in range(5):
        x = -1.0 + step * 0.5
        rods += box((x - 0.03, 0.0, -0.03), (x + 0.03, 1.6, 0.03))
    shelf = box((-1.05, 0.78, -0.5), (1.05, 0.81, 0.5))
    return glb(folder / "thin.glb", [*rods, *shelf], nodes=[ASKEW])


def scan(_: Path) -> Path:
    """A scanned stone with a texture, as a scanner's ZIP."""
    return SCAN


MODELS = {"concave": concave, "thin": thin, "scan": scan}


def source(path: Path) -> trimesh.Trimesh:
    """The model as trimesh reads it from its own file, in that file's coordinates."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            [name] = [name for name in archive.namelist() if name.endswith(".obj")]
            scene = trimesh.load_scene(io.BytesIO(archive.read(name)), file_type="obj", process=False)
    else:
        scene = trimesh.load_scene(path, process=False)
    mesh: trimesh.Trimesh = scene.to_mesh()
    return mesh
