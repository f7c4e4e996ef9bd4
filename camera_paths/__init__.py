"""Camera paths: one small file per effect, each a pure function of time. A new file in this folder is a new effect."""

import importlib
import pkgutil

from camera_paths.path import PATHS as PATHS
from camera_paths.path import CameraPath as CameraPath
from camera_paths.path import Pose as Pose


def discover() -> None:
    """Import every file of this folder, so that each registers itself in PATHS."""
    for module in pkgutil.iter_modules(__path__, prefix=f"{__name__}."):
        importlib.import_module(module.name)


discover()
