"""A template whose subject, ground, camera or collections break the contract is refused with a fix."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.blender import InsideBlender
from tests.support.templates import Change, assert_reported, examine_changed, remove_property, rename_subject

pytestmark = pytest.mark.slow


def camera_is_an_empty(bpy: Any) -> None:
    bpy.data.objects["Camera"].name = "Old"
    bpy.data.collections["Stage"].objects.link(bpy.data.objects.new("Camera", None))


def take_ground_out_of_stage(bpy: Any) -> None:
    ground = bpy.data.objects["Ground"]
    bpy.data.collections["Stage"].objects.unlink(ground)
    bpy.context.scene.collection.objects.link(ground)


def take_ground_out_of_the_scene(bpy: Any) -> None:
    ground = bpy.data.objects["Ground"]
    ground.use_fake_user = True
    bpy.data.collections["Stage"].objects.unlink(ground)


def remove_lights_collection(bpy: Any) -> None:
    lights = bpy.data.collections["Lights"]
    for lamp in list(lights.objects):
        bpy.data.collections["Stage"].objects.link(lamp)
    bpy.data.collections.remove(lights)


def set_property_too_high(bpy: Any) -> None:
    bpy.data.objects["Ground"]["shadow_strength"] = 1.5


def set_property_to_text(bpy: Any) -> None:
    bpy.data.objects["Camera"]["elevation"] = "high"


def set_property_to_not_a_number(bpy: Any) -> None:
    bpy.data.objects["Camera"]["fit_margin"] = float("nan")


def raise_ground(bpy: Any) -> None:
    bpy.data.objects["Ground"].location.z = 0.01


def tilt_ground(bpy: Any) -> None:
    bpy.data.objects["Ground"].rotation_euler.x = 0.1


def shrink_ground(bpy: Any) -> None:
    bpy.data.objects["Ground"].scale = (0.1, 0.1, 1)


def empty_ground(bpy: Any) -> None:
    bpy.data.objects["Ground"].data.clear_geometry()


def move_subject(bpy: Any) -> None:
    bpy.data.objects["Subject"].location.x = 0.5


def scale_subject(bpy: Any) -> None:
    bpy.data.objects["Subject"].scale = (2, 2, 2)


def flatten_camera(bpy: Any) -> None:
    bpy.data.cameras["Camera"].type = "ORTHO"


def blur_camera(bpy: Any) -> None:
    bpy.data.cameras["Camera"].dof.use_dof = True


def shift_camera(bpy: Any) -> None:
    bpy.data.cameras["Camera"].shift_y = 0.1


def track_camera(bpy: Any) -> None:
    camera = bpy.data.objects["Camera"]
    camera.constraints.new("TRACK_TO").target = bpy.data.objects["Subject"]


def parent_camera(bpy: Any) -> None:
    bpy.data.objects["Camera"].parent = bpy.data.objects["Ground"]


def animate_subject(bpy: Any) -> None:
    bpy.data.objects["Subject"].keyframe_insert("location", frame=1)


def material_on_ground(bpy: Any) -> None:
    bpy.data.objects["Ground"].data.materials.append(bpy.data.materials.new("Oak"))


def rename_ground(bpy: Any) -> None:
    bpy.data.objects["Ground"].name = "Floor"


def rename_lights(bpy: Any) -> None:
    bpy.data.collections["Lights"].name = "Lamps"


VIOLATIONS: list[tuple[Change, str, str]] = [
    (rename_subject, "Subject", "there is no such object"),
    (camera_is_an_empty, "Camera", "of type EMPTY, not a camera"),
    (take_ground_out_of_stage, "Ground", "not in the collection Stage"),
    (take_ground_out_of_the_scene, "Ground", "there is no such object"),
    (remove_lights_collection, "Lights", "there is no collection"),
    (remove_property, "Ground", "reflector_fade is missing"),
    (set_property_too_high, "Ground", "shadow_strength is 1.5"),
    (set_property_to_text, "Camera", "elevation is high"),
    (set_property_to_not_a_number, "Camera", "fit_margin is nan"),
    (raise_ground, "Ground", "not a flat face on z = 0"),
    (tilt_ground, "Ground", "not a flat face on z = 0"),
    (empty_ground, "Ground", "not a flat face on z = 0"),
    (shrink_ground, "Ground", "ends 1 from the origin"),
    (move_subject, "Subject", "not at the origin"),
    (scale_subject, "Subject", "scaled"),
    (flatten_camera, "Camera", "not a perspective camera"),
    (blur_camera, "Camera", "depth of field"),
    (shift_camera, "Camera", "shifted"),
    (track_camera, "Camera", "a constraint moves it"),
    (parent_camera, "Camera", "a parent moves it"),
    (animate_subject, "Subject", "an animation moves it (location)"),
    (material_on_ground, "Ground", "a material, which is never seen"),
]


@pytest.mark.parametrize(
    ("change", "object_", "problem"), VIOLATIONS, ids=[change.__name__ for change, _, _ in VIOLATIONS]
)
def test_reports_each_violation_with_its_fix(
    inside: InsideBlender, tmp_path: Path, change: Change, object_: str, problem: str
) -> None:
    assert_reported(inside(examine_changed, change, tmp_path / "changed.blend"), object_, problem)


@pytest.mark.parametrize(
    ("change", "name", "fix"),
    [
        (rename_subject, "Subject", "Rename Product to Subject"),
        (rename_ground, "Ground", "Rename Floor to Ground"),
        (rename_lights, "Lights", "Rename the collection Lamps to Lights"),
    ],
)
def test_suggests_to_rename_what_has_another_name(
    inside: InsideBlender, tmp_path: Path, change: Change, name: str, fix: str
) -> None:
    found = inside(examine_changed, change, tmp_path / "changed.blend")
    assert next(violation.fix for violation in found if violation.object == name).startswith(fix)
    assert not [violation for violation in found if "beside the model" in violation.problem], "it is not to be deleted"
