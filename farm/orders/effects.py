"""The camera paths that renders may have: the built-in ones and those of the studio's folder, loaded once at start."""

from pathlib import Path

from pydantic import ValidationError

from camera_paths import BROKEN as BROKEN
from camera_paths import PATHS as PATHS
from camera_paths.loading import load_folder
from farm.settings import Settings


def own_folder() -> Path | None:
    """FARM_CAMERA_PATHS. None also if a setting is invalid: what reads the settings next says so."""
    try:
        return Settings().camera_paths
    except ValidationError:
        return None


if folder := own_folder():
    load_folder(folder)
