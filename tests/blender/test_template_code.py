"""A template that holds code, or reads other files, is refused with a fix; its code never runs."""

from pathlib import Path
from typing import Any

import pytest

from farm import templates
from tests.support.blender import InsideBlender
from tests.support.templates import (
    Change,
    assert_reported,
    driver_with_code,
    examine_changed,
    linked_light,
    script_to_run,
)

pytestmark = pytest.mark.slow


def driver_with_code_in_a_node_tree(bpy: Any) -> None:
    strength = bpy.data.worlds["World"].node_tree.nodes["Background"].inputs["Strength"]
    strength.driver_add("default_value").driver.expression = "bpy.context.scene.frame_current"


def script_node(bpy: Any) -> None:
    bpy.data.worlds["World"].node_tree.nodes.new("ShaderNodeScript")


def freestyle_script(bpy: Any) -> None:
    freestyle = bpy.context.view_layer.freestyle_settings
    freestyle.mode = "SCRIPT"
    freestyle.modules.new().script = bpy.data.texts.new("style.py")


def image_at(bpy: Any, path: str) -> None:
    image = bpy.data.images.new("Sky", 8, 8)
    image.source, image.filepath, image.use_fake_user = "FILE", path, True


def absolute_image(bpy: Any) -> None:
    image_at(bpy, "/pictures/sky.hdr")


def relative_image(bpy: Any) -> None:
    image_at(bpy, "//sky.hdr")


def unsaved_tiles(bpy: Any) -> None:
    bpy.data.images.new("Tiles", 8, 8, tiled=True).use_fake_user = True


VIOLATIONS: list[tuple[Change, str, str]] = [
    (unsaved_tiles, "Tiles", "some of its tiles are not saved"),
    (script_to_run, "autorun.py", "registered to run"),
    (driver_with_code, "Key", "is code: __import__('os').system('true')"),
    (driver_with_code_in_a_node_tree, "World", "is code: bpy.context"),
    (script_node, "World", "OSL"),
    (freestyle_script, "ViewLayer", "Freestyle would run"),
    (absolute_image, "Sky", "read from /pictures/sky.hdr (an absolute path"),
    (relative_image, "Sky", "read from //sky.hdr (beside the .blend)"),
    (linked_light, str(templates.blend("dark")), "linked"),
]


@pytest.mark.parametrize(
    ("change", "object_", "problem"), VIOLATIONS, ids=[change.__name__ for change, _, _ in VIOLATIONS]
)
def test_reports_each_violation_with_its_fix(
    inside: InsideBlender, tmp_path: Path, change: Change, object_: str, problem: str
) -> None:
    assert_reported(inside(examine_changed, change, tmp_path / "changed.blend"), object_, problem)
    assert not (tmp_path / "changed.blend.ran").exists()
