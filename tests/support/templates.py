"""Changed copies of the built-in templates. Functions with a parameter `bpy` run in a process that may import it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from farm import templates

STUDIO, PEDESTAL = templates.blend("studio"), templates.blend("pedestal")
Change = Callable[[Any], object]  # takes bpy


def save_changed(change: Change, target: Path, source: Path = STUDIO) -> None:
    """Save a changed copy of the template `source` to `target`. Runs in a process with bpy."""
    import bpy

    bpy.ops.wm.open_mainfile(filepath=str(source), load_ui=False, use_scripts=False)
    change(bpy)
    bpy.ops.wm.save_as_mainfile(filepath=str(target), compress=True, relative_remap=False)


def rename_subject(bpy: Any) -> None:
    bpy.data.objects["Subject"].name = "Product"


def darken_key(bpy: Any) -> None:
    bpy.data.lights["Key"].energy = 1.0
