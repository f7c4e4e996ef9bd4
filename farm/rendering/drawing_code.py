"""The version of the drawing code: Blender's version, and a digest of our source files that determine pixels."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import farm
from farm.orders.effects import own_folder

# farm/scene has the camera and the views of datasets, farm/dataset turns passes into pictures, depth and normals; the
# single files decide what the Blender host is told of a shot.
FOLDERS = ("camera_paths", "farm/blender", "farm/scene", "farm/dataset")
FILES = ("farm/orders/plan.py", "farm/rendering/production.py", "farm/templates/__init__.py")
# Of farm/blender: the caller's side of the socket, and the conversion of scans.
EXCLUDED = {"client.py", "host_process.py", "inputs.py", "obj_to_glb.py"}


@cache
def drawing_code() -> str:
    """Nodes with the same value draw the same pixels: it admits nodes to a farm, and identifies cached frames."""
    return f"{version('bpy')} {source_digest(Path(farm.__file__).parents[1], own_folder())}"


def source_digest(root: Path, own_paths: Path | None = None) -> str:
    """A digest of FILES and of all source files in FOLDERS under `root`, and the studio's camera paths.

    By name and content.
    """
    digest = hashlib.sha256()
    paths = [path for folder in FOLDERS for path in (root / folder).glob("*.py") if path.name not in EXCLUDED]
    own = sorted(own_paths.glob("*.py")) if own_paths else []
    for path in [*sorted([*paths, *(root / file for file in FILES)]), *own]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
