"""A template whose lights or world break the contract is refused with a fix."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.blender import InsideBlender
from tests.support.templates import Change, assert_reported, examine_changed

pytestmark = pytest.mark.slow


def remove_world(bpy: Any) -> None:
    bpy.context.scene.world = None


def remove_lights(bpy: Any) -> None:
    for lamp in list(bpy.data.collections["Lights"].objects):
        bpy.data.objects.remove(lamp)


def hide_lights(bpy: Any) -> None:
    for lamp in bpy.data.collections["Lights"].objects:
        lamp.hide_render = True


def light_outside(bpy: Any) -> None:
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT")))


def world_volume(bpy: Any) -> None:
    tree = bpy.data.worlds["World"].node_tree
    [output] = [node for node in tree.nodes if node.type == "OUTPUT_WORLD"]
    tree.links.new(tree.nodes.new("ShaderNodeVolumeScatter").outputs["Volume"], output.inputs["Volume"])


def exclude_lights(bpy: Any) -> None:
    bpy.context.view_layer.layer_collection.children["Lights"].exclude = True


def disable_lights_in_renders(bpy: Any) -> None:
    bpy.data.collections["Lights"].hide_render = True


def moving_light(bpy: Any) -> None:
    bpy.data.objects["Key"].keyframe_insert("location", frame=1)


def pulsing_light(bpy: Any) -> None:
    bpy.data.lights["Key"].keyframe_insert("energy", frame=1)


def light_driven_by_time(bpy: Any) -> None:
    bpy.data.lights["Key"].driver_add("energy").driver.expression = "sin(frame) * 3 + 200"


def light_driven_by_the_current_frame(bpy: Any) -> None:
    driver = bpy.data.lights["Key"].driver_add("energy").driver
    driver.expression = "now * 3"
    now = driver.variables.new()
    now.name, now.type, now.targets[0].id_type = "now", "SINGLE_PROP", "SCENE"
    now.targets[0].id, now.targets[0].data_path = bpy.context.scene, "frame_current"


def light_in_the_nonlinear_animation(bpy: Any) -> None:
    key = bpy.data.objects["Key"]
    key.keyframe_insert("location", frame=1)
    action, key.animation_data.action = key.animation_data.action, None
    key.animation_data.nla_tracks.new().strips.new("Sway", 1, action)


def light_data_of_another_name(bpy: Any) -> None:
    bpy.data.lights["Key"].name = "Area.003"
    bpy.data.lights["Area.003"].keyframe_insert("energy", frame=1)


def dark_lights(bpy: Any) -> None:
    for light in bpy.data.lights:
        light.energy = 0


def black_lights(bpy: Any) -> None:
    for light in bpy.data.lights:
        light.color = (0, 0, 0)


def cleared_keyframes(bpy: Any) -> None:
    for name in ("Key", "Camera"):
        bpy.data.objects[name].keyframe_insert("location", frame=1)
        bpy.data.objects[name].keyframe_delete("location", frame=1)


def animated_world(bpy: Any) -> None:
    strength = bpy.data.worlds["World"].node_tree.nodes["Background"].inputs["Strength"]
    strength.keyframe_insert("default_value", frame=1)


def moving_rig(bpy: Any) -> None:
    rig = bpy.data.objects.new("Rig", None)
    bpy.context.scene.collection.objects.link(rig)
    bpy.data.objects["Key"].parent = rig
    rig.keyframe_insert("rotation_euler", frame=1)


VIOLATIONS: list[tuple[Change, str, str]] = [
    (remove_world, "World", "no world"),
    (remove_lights, "Lights", "no light"),
    (hide_lights, "Lights", "all of its lights are hidden in renders"),
    (exclude_lights, "Lights", "excluded from the view layer"),
    (disable_lights_in_renders, "Lights", "disabled in renders"),
    (world_volume, "World", "it has a volume"),
    (moving_light, "Key", "it is animated"),
    (pulsing_light, "Key", "it is animated"),
    (light_driven_by_time, "Key", "it is animated"),
    (light_driven_by_the_current_frame, "Key", "it is animated (energy)"),
    (light_in_the_nonlinear_animation, "Key", "it is animated (NLA strips)"),
    (light_data_of_another_name, "Key", "it is animated (energy)"),
    (dark_lights, "Lights", "none of its lights shines"),
    (black_lights, "Lights", "none of its lights shines"),
    (animated_world, "World", "it is animated"),
    (moving_rig, "Rig", "it is animated"),
    (light_outside, "Lamp", "not in the collection Lights"),
]


@pytest.mark.parametrize(
    ("change", "object_", "problem"), VIOLATIONS, ids=[change.__name__ for change, _, _ in VIOLATIONS]
)
def test_reports_each_violation_with_its_fix(
    inside: InsideBlender, tmp_path: Path, change: Change, object_: str, problem: str
) -> None:
    assert_reported(inside(examine_changed, change, tmp_path / "changed.blend"), object_, problem)


def test_accepts_a_template_whose_keyframes_were_cleared(inside: InsideBlender, tmp_path: Path) -> None:
    assert inside(examine_changed, cleared_keyframes, tmp_path / "cleared.blend") == []
