"""A template is refused for every promise that its set breaks, with a message that names object, problem and fix."""

import math
from pathlib import Path
from typing import Any

import pytest

from tests.support.blender import InsideBlender
from tests.support.templates import PEDESTAL, Change, assert_reported, examine_changed

pytestmark = pytest.mark.slow


def add(bpy: Any, name: str, data: Any) -> Any:
    object_ = bpy.data.objects.new(name, data)
    bpy.data.collections["Set"].objects.link(object_)
    return object_


def plane(bpy: Any, name: str, *, side: float, at: tuple[float, float, float], upright: bool) -> Any:
    """A square in the set that faces up, or -y if it is upright, with a material of its own."""
    half = side / 2
    corners = [(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    mesh.materials.append(bpy.data.materials.new(name))
    mesh.materials[0].use_nodes = True
    object_ = add(bpy, name, mesh)
    object_.location = at
    object_.rotation_euler.x = math.radians(90) if upright else 0
    return object_


def column(bpy: Any) -> Any:
    return bpy.data.objects["Column"]


def camera_in_the_set(bpy: Any) -> None:
    add(bpy, "Witness", bpy.data.cameras.new("Witness"))


def text_in_the_set(bpy: Any) -> None:
    add(bpy, "Slogan", bpy.data.curves.new("Slogan", "FONT"))


def light_in_the_set(bpy: Any) -> None:
    add(bpy, "Lamp", bpy.data.lights.new("Lamp", "POINT"))


def instances_in_the_set(bpy: Any) -> None:
    made = add(bpy, "Many", None)
    made.instance_type, made.instance_collection = "COLLECTION", bpy.data.collections["Lights"]


def instances_by_nodes(bpy: Any) -> None:
    tree = bpy.data.node_groups.new("Scatter", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    start, end, cube, scatter = (
        tree.nodes.new(kind)
        for kind in ("NodeGroupInput", "NodeGroupOutput", "GeometryNodeMeshCube", "GeometryNodeInstanceOnPoints")
    )
    tree.links.new(start.outputs[0], scatter.inputs["Points"])
    tree.links.new(cube.outputs["Mesh"], scatter.inputs["Instance"])
    tree.links.new(scatter.outputs["Instances"], end.inputs[0])
    column(bpy).modifiers.new("Scatter", "NODES").node_group = tree


def particles_in_the_set(bpy: Any) -> None:
    column(bpy).modifiers.new("Dust", "PARTICLE_SYSTEM")


def ground_in_the_set(bpy: Any) -> None:
    bpy.data.collections["Set"].objects.link(bpy.data.objects["Ground"])


def holdout(bpy: Any) -> None:
    column(bpy).is_holdout = True


def shadow_catcher(bpy: Any) -> None:
    column(bpy).is_shadow_catcher = True


def constraint(bpy: Any) -> None:
    column(bpy).constraints.new("COPY_ROTATION").target = bpy.data.objects["Camera"]


def follow_the_subject(bpy: Any) -> None:
    column(bpy).parent = bpy.data.objects["Subject"]


def driver(bpy: Any) -> None:
    column(bpy).driver_add("location", 2).driver.expression = "-1 * 0"


def moving_object(bpy: Any) -> None:
    column(bpy).keyframe_insert("location", frame=1)


def glowing_material(bpy: Any) -> None:
    shader = bpy.data.materials["Plaster"].node_tree.nodes["Principled BSDF"]
    shader.inputs["Roughness"].keyframe_insert("default_value", frame=1)


def moving_shape(bpy: Any) -> None:
    column(bpy).shape_key_add(name="Basis")
    column(bpy).shape_key_add(name="Fat").keyframe_insert("value", frame=1)


def waves(bpy: Any) -> None:
    floor = plane(bpy, "Water", side=8, at=(0, 0, -3), upright=False)
    floor.modifiers.new("Grid", "SUBSURF").render_levels = 3
    floor.modifiers["Grid"].levels = 3
    floor.modifiers.new("Wave", "WAVE").height = 0.5


def fog(bpy: Any) -> None:
    tree = bpy.data.materials["Plaster"].node_tree
    scatter = tree.nodes.new("ShaderNodeVolumeScatter")
    tree.links.new(scatter.outputs["Volume"], tree.nodes["Material Output"].inputs["Volume"])


def hide_all(bpy: Any) -> None:
    column(bpy).hide_render = True


def exclude(bpy: Any) -> None:
    bpy.context.view_layer.layer_collection.children["Set"].exclude = True


def disable_in_renders(bpy: Any) -> None:
    bpy.data.collections["Set"].hide_render = True


def not_finite(bpy: Any) -> None:
    column(bpy).data.vertices[0].co.x = float("nan")


def far_away(bpy: Any) -> None:
    plane(bpy, "Horizon", side=5000, at=(0, 0, -3), upright=False)


def no_face(bpy: Any) -> None:
    mesh = bpy.data.meshes.new("Wire")
    mesh.from_pydata([(0, 0, -1), (0, 0, -2)], [(0, 1)], [])
    add(bpy, "Wire", mesh)


def invisible(bpy: Any) -> None:
    bpy.data.materials["Plaster"].node_tree.nodes["Principled BSDF"].inputs["Alpha"].default_value = 0


def raised_column(bpy: Any) -> None:
    column(bpy).location.z = 0.1


def wall_through_the_model(bpy: Any) -> None:
    plane(bpy, "Wall", side=20, at=(0, 0.5, 0), upright=True)


def prop_beside_the_model(bpy: Any) -> None:
    """All of it is inside of the space that a model may fill: no face crosses the border."""
    plane(bpy, "Card", side=0.2, at=(0, 0, 0.5), upright=True)


def shadow_around_the_column(bpy: Any) -> None:
    bpy.data.objects["Ground"]["shadow_strength"] = 0.5


def mirror_image_around_the_column(bpy: Any) -> None:
    bpy.data.objects["Ground"]["reflector_strength"] = 0.5


def two_sided_backdrop(bpy: Any) -> None:
    plane(bpy, "Backdrop", side=20, at=(0, 3, 0), upright=True)


def backdrop_turned_away(bpy: Any) -> None:
    two_sided_backdrop(bpy)
    bpy.data.materials["Backdrop"].use_backface_culling = True
    bpy.data.objects["Backdrop"].rotation_euler.z = math.radians(180)


def narrow_footprint(bpy: Any) -> None:
    column(bpy)["footprint"] = 0.1


def footprint_in_words(bpy: Any) -> None:
    column(bpy)["footprint"] = "wide"


VIOLATIONS: list[tuple[Change, str, str]] = [
    (camera_in_the_set, "Witness", "of type CAMERA, and a set holds meshes"),
    (text_in_the_set, "Slogan", "of type FONT, and a set holds meshes"),
    (light_in_the_set, "Lamp", "not in the collection Lights"),
    (instances_in_the_set, "Many", "instances or particles"),
    (instances_by_nodes, "Column", "instances or particles"),
    (particles_in_the_set, "Column", "instances or particles"),
    (ground_in_the_set, "Ground", "in the collection Set, too"),
    (holdout, "Column", "holdout or a shadow catcher"),
    (shadow_catcher, "Column", "holdout or a shadow catcher"),
    (constraint, "Column", "a constraint moves it"),
    (follow_the_subject, "Column", "a parent outside of the set moves it"),
    (driver, "Column", "a driver moves it"),
    (moving_object, "Column", "it is animated"),
    (glowing_material, "Plaster", "it is animated"),
    (moving_shape, "Column", "it is animated"),
    (waves, "Water", "another shape in other frames"),
    (fog, "Plaster", "it has a volume"),
    (hide_all, "Set", "nothing in it is drawn"),
    (exclude, "Set", "excluded from the view layer"),
    (disable_in_renders, "Set", "disabled in renders"),
    (not_finite, "Column", "farther than 500"),
    (far_away, "Horizon", "farther than 500"),
    (no_face, "Wire", "no face that could be seen"),
    (invisible, "Column", "no face that could be seen"),
    (raised_column, "Column", "stands where the model stands"),
    (wall_through_the_model, "Wall", "stands where the model stands"),
    (prop_beside_the_model, "Card", "stands where the model stands"),
    (shadow_around_the_column, "Column", "below z = 0"),
    (mirror_image_around_the_column, "Column", "below z = 0"),
    (two_sided_backdrop, "Backdrop", "hides the model from the camera at azimuth"),
    (backdrop_turned_away, "Backdrop", "hides the model from the camera at azimuth"),
    (narrow_footprint, "Column", "footprint is 0.1"),
    (footprint_in_words, "Column", "footprint is wide"),
]


@pytest.mark.parametrize(
    ("change", "object_", "problem"), VIOLATIONS, ids=[change.__name__ for change, _, _ in VIOLATIONS]
)
def test_reports_each_violation_with_its_fix(
    inside: InsideBlender, tmp_path: Path, change: Change, object_: str, problem: str
) -> None:
    found = inside(examine_changed, change, tmp_path / "changed.blend", PEDESTAL)
    assert_reported(found, object_, problem)


def hold_out_the_set(bpy: Any) -> None:
    bpy.context.view_layer.layer_collection.children["Set"].holdout = True


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        (camera_in_the_set, "Delete it"),
        (text_in_the_set, "Object > Convert > Mesh, or delete it"),
        (follow_the_subject, "Object > Parent > Clear and Keep Transformation"),
        (hold_out_the_set, "Right-click the collection in the Outliner > View Layer > Clear Holdout"),
    ],
)
def test_names_the_menu_that_mends_the_set(inside: InsideBlender, tmp_path: Path, change: Change, fix: str) -> None:
    assert fix in [violation.fix for violation in inside(examine_changed, change, tmp_path / "changed.blend", PEDESTAL)]


def no_set(bpy: Any) -> None:
    bpy.data.objects.remove(column(bpy))
    bpy.data.collections.remove(bpy.data.collections["Set"])


def backdrop(bpy: Any) -> None:
    two_sided_backdrop(bpy)
    bpy.data.materials["Backdrop"].use_backface_culling = True
    bpy.data.objects["Backdrop"].location.z = 10.2  # it stands on the floor


def textured_floor(bpy: Any) -> None:
    bpy.data.objects.remove(column(bpy))
    bpy.data.objects["Ground"]["shadow_strength"] = 0.5
    tree = plane(bpy, "Floor", side=8, at=(0, 0, 0), upright=False).data.materials[0].node_tree
    picture = tree.nodes.new("ShaderNodeTexImage")
    picture.image = bpy.data.images.new("Oak", 8, 8)
    picture.image.pack()
    tree.links.new(picture.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])


def gobo(bpy: Any) -> None:
    """In the model's light, and hidden from the camera: it may hang anywhere."""
    plane(bpy, "Gobo", side=1, at=(0, 0, 1), upright=False).visible_camera = False


def surrounding_wall(bpy: Any) -> None:
    """A ring around the camera's circle."""
    for turn in range(8):
        wall = plane(bpy, f"Wall {turn}", side=90, at=(0, 0, 0), upright=True)
        angle = math.radians(45 * turn)
        wall.rotation_euler.z = angle
        wall.location = (-math.sin(angle) * 100, math.cos(angle) * 100, 45.1)


def lamp_in_both(bpy: Any) -> None:
    light_in_the_set(bpy)
    bpy.data.collections["Lights"].objects.link(bpy.data.objects["Lamp"])


def parent_within_the_set(bpy: Any) -> None:
    column(bpy).parent = add(bpy, "Rig", None)


def nested_collection(bpy: Any) -> None:
    inner = bpy.data.collections.new("Furniture")
    bpy.data.collections["Set"].children.link(inner)
    bpy.data.collections["Set"].objects.unlink(column(bpy))
    inner.objects.link(bpy.data.objects["Column"])


def hidden_helper(bpy: Any) -> None:
    prop_beside_the_model(bpy)
    bpy.data.objects["Card"].hide_render = True


ACCEPTED = [
    no_set,
    backdrop,
    textured_floor,
    gobo,
    surrounding_wall,
    lamp_in_both,
    parent_within_the_set,
    nested_collection,
    hidden_helper,
]


@pytest.mark.parametrize("change", ACCEPTED)
def test_accepts_what_a_set_may_hold(inside: InsideBlender, tmp_path: Path, change: Change) -> None:
    assert inside(examine_changed, change, tmp_path / "changed.blend", PEDESTAL) == []
