"""Changed copies of the built-in templates. Functions with a parameter `bpy` run in a process that may import it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from farm import templates
from farm.templates.contract import Violation

STUDIO, PEDESTAL = templates.blend("studio"), templates.blend("pedestal")
Change = Callable[[Any], object]  # takes bpy


def save_changed(change: Change, target: Path, source: Path = STUDIO) -> None:
    """Save a changed copy of the template `source` to `target`. Runs in a process with bpy."""
    import bpy

    bpy.ops.wm.open_mainfile(filepath=str(source), load_ui=False, use_scripts=False)
    change(bpy)
    bpy.ops.wm.save_as_mainfile(filepath=str(target), compress=True, relative_remap=False)


def examine_changed(change: Change, target: Path, source: Path = STUDIO) -> list[Violation]:
    """Save a changed copy, and return what is wrong with it. Runs in a process with bpy."""
    from farm.blender.template import examine

    save_changed(change, target, source)
    return examine(target)


def assert_reported(found: list[Violation], object_: str, problem: str) -> None:
    """Assert that `found` has this problem of this object, and a fix for each violation."""
    matching = [violation for violation in found if violation.object == object_ and problem in violation.problem]
    assert matching, found
    assert all(violation.fix for violation in found)


def rename_subject(bpy: Any) -> None:
    bpy.data.objects["Subject"].name = "Product"


def darken_key(bpy: Any) -> None:
    bpy.data.lights["Key"].energy = 1.0


def remove_property(bpy: Any) -> None:
    del bpy.data.objects["Ground"]["reflector_fade"]


def add_backdrop(bpy: Any) -> None:
    bpy.ops.mesh.primitive_plane_add(location=(0, 5, 0))
    bpy.context.object.name = "Backdrop"


def script_to_run(bpy: Any) -> None:
    text = bpy.data.texts.new("autorun.py")
    text.from_string("import pathlib, bpy; pathlib.Path(bpy.data.filepath + '.ran').touch()")
    text.use_module = True


def driver_with_code(bpy: Any) -> None:
    driver = bpy.data.lights["Key"].driver_add("energy").driver
    driver.expression = "__import__('os').system('true')"


def linked_light(bpy: Any) -> None:
    with bpy.data.libraries.load(str(templates.blend("dark")), link=True) as (_, here):
        here.lights = ["Left rim"]
    lamp = bpy.data.objects.new("Borrowed", here.lights[0])
    bpy.data.collections["Lights"].objects.link(lamp)
