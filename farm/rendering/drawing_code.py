"""The version of the drawing code: Blender's version, and a digest of our source files that determine pixels."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import farm

# farm/scene has the camera and the views of datasets, farm/dataset turns passes into pictures, depth and normals.
FOLDERS = ("camera_paths", "farm/blender", "farm/scene", "farm/dataset")
EXCLUDED = {"client.py"}  # farm/blender/client.py: the caller's side of the socket


@cache
def drawing_code() -> str:
    """Nodes with the same value draw the same pixels: it admits nodes to a farm, and identifies cached frames."""
    return f"{version('bpy')} {source_digest(Path(farm.__file__).parents[1])}"


def source_digest(root: Path) -> str:
    """A digest of all source files in FOLDERS under `root`, by name and content."""
    digest = hashlib.sha256()
    paths = (path for folder in FOLDERS for path in (root / folder).glob("*.py"))
    for path in sorted(path for path in paths if path.name not in EXCLUDED):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
