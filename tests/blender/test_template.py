"""A template is refused for every violation of its contract, with a message that names object, problem and fix."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm import templates
from farm.blender.client import Blender
from farm.errors import BadTemplate
from farm.scene.shot import ShotSetup
from farm.templates import contract
from farm.templates.contract import Violation
from tests.support.assets import ASSETS
from tests.support.blender import InsideBlender, draw_frame
from tests.support.templates import STUDIO, Change, darken_key, rename_subject, save_changed

pytestmark = pytest.mark.slow


def examine_changed(change: Change, target: Path) -> list[Violation]:
    from farm.blender.template import examine

    save_changed(change, target)
    return examine(target)


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


def remove_property(bpy: Any) -> None:
    del bpy.data.objects["Ground"]["reflector_fade"]


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


def remove_world(bpy: Any) -> None:
    bpy.context.scene.world = None


def raw_view(bpy: Any) -> None:
    bpy.context.scene.view_settings.view_transform = "Raw"


def other_display(bpy: Any) -> None:
    bpy.context.scene.display_settings.display_device = "Display P3"


def remove_lights(bpy: Any) -> None:
    for lamp in list(bpy.data.collections["Lights"].objects):
        bpy.data.objects.remove(lamp)


def hide_lights(bpy: Any) -> None:
    for lamp in bpy.data.collections["Lights"].objects:
        lamp.hide_render = True


def light_outside(bpy: Any) -> None:
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT")))


def add_backdrop(bpy: Any) -> None:
    bpy.ops.mesh.primitive_plane_add(location=(0, 5, 0))
    bpy.context.object.name = "Backdrop"


def add_collection_instance(bpy: Any) -> None:
    instance = bpy.data.objects.new("Many", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", bpy.data.collections["Stage"]
    bpy.context.scene.collection.objects.link(instance)


def second_scene(bpy: Any) -> None:
    bpy.data.scenes.new("Other")


def second_view_layer(bpy: Any) -> None:
    bpy.context.scene.view_layers.new("Other")


def lights_as_holdout(bpy: Any) -> None:
    bpy.context.view_layer.layer_collection.children["Lights"].holdout = True


def stage_indirect_only(bpy: Any) -> None:
    bpy.context.view_layer.layer_collection.children["Stage"].indirect_only = True


def sequencer_strip(bpy: Any) -> None:
    strips = bpy.context.scene.sequence_editor_create().strips
    strips.new_effect("Blue", "COLOR", 1, frame_start=1, frame_end=10)


def compositing(bpy: Any) -> None:
    bpy.context.scene.use_nodes = True
    bpy.context.scene.node_tree.nodes.new("CompositorNodeGlare")


def script_to_run(bpy: Any) -> None:
    text = bpy.data.texts.new("autorun.py")
    text.from_string("import pathlib, bpy; pathlib.Path(bpy.data.filepath + '.ran').touch()")
    text.use_module = True


def driver_with_code(bpy: Any) -> None:
    driver = bpy.data.lights["Key"].driver_add("energy").driver
    driver.expression = "__import__('os').system('true')"


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


def linked_light(bpy: Any) -> None:
    with bpy.data.libraries.load(str(templates.blend("dark")), link=True) as (_, here):
        here.lights = ["Left rim"]
    lamp = bpy.data.objects.new("Borrowed", here.lights[0])
    bpy.data.collections["Lights"].objects.link(lamp)


def world_volume(bpy: Any) -> None:
    tree = bpy.data.worlds["World"].node_tree
    [output] = [node for node in tree.nodes if node.type == "OUTPUT_WORLD"]
    tree.links.new(tree.nodes.new("ShaderNodeVolumeScatter").outputs["Volume"], output.inputs["Volume"])


def exclude_lights(bpy: Any) -> None:
    bpy.context.view_layer.layer_collection.children["Lights"].exclude = True


def disable_lights_in_renders(bpy: Any) -> None:
    bpy.data.collections["Lights"].hide_render = True


def material_on_ground(bpy: Any) -> None:
    bpy.data.objects["Ground"].data.materials.append(bpy.data.materials.new("Oak"))


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


def unsaved_tiles(bpy: Any) -> None:
    bpy.data.images.new("Tiles", 8, 8, tiled=True).use_fake_user = True


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
    (remove_world, "World", "no world"),
    (raw_view, "Scene", "view transform is Raw"),
    (other_display, "Scene", "display device is Display P3"),
    (remove_lights, "Lights", "no light"),
    (hide_lights, "Lights", "all of its lights are hidden in renders"),
    (exclude_lights, "Lights", "excluded from the view layer"),
    (disable_lights_in_renders, "Lights", "disabled in renders"),
    (world_volume, "World", "it has a volume"),
    (material_on_ground, "Ground", "a material, which is never seen"),
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
    (unsaved_tiles, "Tiles", "some of its tiles are not saved"),
    (light_outside, "Lamp", "not in the collection Lights"),
    (add_backdrop, "Backdrop", "drawn beside the model"),
    (add_collection_instance, "Many", "drawn beside the model"),
    (second_scene, "Scene", "more than one scene: Other, Scene"),
    (second_view_layer, "Scene", "more than one view layer: Other, ViewLayer"),
    (lights_as_holdout, "Lights", "it is Holdout in the view layer"),
    (stage_indirect_only, "Stage", "it is Indirect Only in the view layer"),
    (sequencer_strip, "Scene", "sequencer strips"),
    (compositing, "Scene", "compositing nodes"),
    (script_to_run, "autorun.py", "registered to run"),
    (driver_with_code, "Key", "is code: __import__('os').system('true')"),
    (driver_with_code_in_a_node_tree, "World", "is code: bpy.context"),
    (script_node, "World", "OSL"),
    (freestyle_script, "ViewLayer", "Freestyle would run"),
    (absolute_image, "Sky", "read from /pictures/sky.hdr (an absolute path"),
    (relative_image, "Sky", "read from //sky.hdr (beside the .blend)"),
    (linked_light, str(templates.blend("dark")), "linked"),
]


def test_accepts_a_template_whose_keyframes_were_cleared(inside: InsideBlender, tmp_path: Path) -> None:
    assert inside(examine_changed, cleared_keyframes, tmp_path / "cleared.blend") == []


@pytest.mark.parametrize(
    ("change", "object_", "problem"), VIOLATIONS, ids=[change.__name__ for change, _, _ in VIOLATIONS]
)
def test_reports_each_violation_with_its_fix(
    inside: InsideBlender, tmp_path: Path, change: Change, object_: str, problem: str
) -> None:
    found = inside(examine_changed, change, tmp_path / "changed.blend")
    matching = [violation for violation in found if violation.object == object_ and problem in violation.problem]
    assert matching, found
    assert all(violation.fix for violation in found)
    assert not (tmp_path / "changed.blend.ran").exists()


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


def nothing(_: Any) -> None: ...


def simple_driver(bpy: Any) -> None:
    bpy.data.lights["Key"].driver_add("energy").driver.expression = "sqrt(4) * 3 + 200"


def notes(bpy: Any) -> None:
    bpy.data.texts.new("Notes").from_string("import os")


def packed_image(bpy: Any) -> None:
    bpy.data.images.new("Sky", 8, 8).pack()


def hidden_helper(bpy: Any) -> None:
    add_backdrop(bpy)
    bpy.data.objects["Backdrop"].hide_render = True


@pytest.mark.parametrize("change", [nothing, simple_driver, notes, packed_image, hidden_helper])
def test_accepts_harmless_changes(inside: InsideBlender, tmp_path: Path, change: Change) -> None:
    assert inside(examine_changed, change, tmp_path / "changed.blend") == []


@pytest.mark.parametrize("name", templates.names())
def test_accepts_the_built_in_templates(blender: Blender, name: str) -> None:
    assert blender.check(templates.blend(name)) == []


def properties_of(path: Path) -> dict[str, dict[str, Any]]:
    import bpy

    bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
    objects = {part.name: bpy.data.objects[part.name] for part in contract.PARTS}
    return {
        property_.name: objects[part.name].id_properties_ui(property_.name).as_dict()
        for part in contract.PARTS
        for property_ in part.properties
    }


@pytest.mark.parametrize("name", templates.names())
def test_describes_the_properties_in_blenders_panel(inside: InsideBlender, name: str) -> None:
    shown = inside(properties_of, templates.blend(name))
    for property_ in (property_ for part in contract.PARTS for property_ in part.properties):
        panel = shown[property_.name]
        expected = property_.minimum, property_.maximum, property_.meaning
        assert (panel["min"], panel["max"], panel["description"]) == expected


class TestOpenShot:
    def shot(self, template: Path) -> ShotSetup:
        return ShotSetup(str(ASSETS / "product.glb"), str(template), 64, 36, samples=1, engine="cycles", shadows=False)

    @pytest.mark.parametrize("change", [script_to_run, driver_with_code, linked_light, remove_property])
    def test_refuses_a_template_with_violations(
        self, inside: InsideBlender, blender: Blender, tmp_path: Path, change: Change
    ) -> None:
        inside(save_changed, change, tmp_path / "changed.blend")
        with pytest.raises(BadTemplate, match=r"changed\.blend is refused"):
            blender.open_shot(self.shot(tmp_path / "changed.blend"))
        assert not (tmp_path / "changed.blend.ran").exists()

    def test_refuses_a_missing_file(self, blender: Blender, tmp_path: Path) -> None:
        with pytest.raises(BadTemplate, match=r"nowhere\.blend cannot be read"):
            blender.open_shot(self.shot(tmp_path / "nowhere.blend"))

    def test_draws_with_the_saved_light(self, inside: InsideBlender, blender: Blender, tmp_path: Path) -> None:
        inside(save_changed, darken_key, tmp_path / "changed.blend")
        _, before = draw_frame(blender, self.shot(STUDIO))
        _, after = draw_frame(blender, self.shot(tmp_path / "changed.blend"))
        covered = before[..., 3] == 255
        assert after[covered][:, :3].mean() < 0.9 * before[covered][:, :3].mean()
        assert (np.abs(after[..., 3].astype(int) - before[..., 3]) < 64).all()
