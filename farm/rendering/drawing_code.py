"""The version of the drawing code: Blender's, and a digest of every source file of ours that decides pixels."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import camera_paths
import farm

# farm/scene has the camera and the views of datasets, farm/dataset turns passes into pictures, depth and normals.
FOLDERS = ("blender", "scene", "dataset")
DRAWS_NOTHING = {"client.py"}  # farm/blender/client.py: the caller's side of the socket


@cache
def drawing_code() -> str:
    """Two nodes with the same value draw the same pixels; frames are kept, and nodes admitted, by it."""
    root = Path(farm.__file__).parent
    folders = [Path(camera_paths.__file__).parent, *(root / folder for folder in FOLDERS)]
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.glob("*.py") if path.name not in DRAWS_NOTHING):
        digest.update(path.name.encode() + path.read_bytes())
    return f"{version('bpy')} {digest.hexdigest()}"
