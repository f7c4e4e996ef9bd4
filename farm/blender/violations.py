"""Check the open scene against the contract of a template (farm/templates/contract.py)."""

import math
from collections.abc import Iterator

import bpy
import numpy as np

from farm.blender.importing import Object
from farm.blender.set_violations import find_set_violations
from farm.blender.sets import members
from farm.blender.unseen import is_in_renders
from farm.templates import contract
from farm.templates.contract import Part, Property, Violation

TOLERANCE = 1e-4  # scene units, for positions and matrix elements
RENDERED_TYPES = {"MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD", "VOLUME", "GREASEPENCIL"}
HOW_TO_ADD = {"EMPTY": "Add > Empty > Plain Axes", "CAMERA": "Add > Camera", "MESH": "Add > Mesh > Plane"}
KIND = {"EMPTY": "an empty", "CAMERA": "a camera", "MESH": "a mesh"}


def find_violations(scene: bpy.types.Scene) -> Iterator[Violation]:
    """All violations of the contract in the open file, each with its fix."""
    if len(bpy.data.scenes) > 1:
        names = ", ".join(sorted(scene.name for scene in bpy.data.scenes))
        yield Violation(scene.name, f"there is more than one scene: {names}", "Delete all but one")
    for name in contract.COLLECTIONS:
        if name not in scene.collection.children:
            fix = f"Right-click Scene Collection > New, call it {name}"
            if renamed := _renamed_collection(scene, name):
                fix = f"Rename the collection {renamed.name} to {name}"
            yield Violation(name, "there is no collection of this name", fix)
    for part in contract.PARTS:
        object_ = scene.objects.get(part.name)
        if object_ is None or object_.type != part.type:
            yield _missing(scene, part, object_)
            continue
        yield from _check_collection(part, object_)
        yield from _check_unmoved(object_)
        for property_ in part.properties:
            yield from _check_property(object_, property_)
        yield from CHECKS[part.name](object_)
    yield from _check_lights(scene)
    yield from _check_extra_objects(scene)
    for object_ in members(scene):
        if contract.FOOTPRINT.name in object_:
            yield from _check_property(object_, contract.FOOTPRINT)
    yield from find_set_violations(scene)
    yield from _check_color_management(scene)
    yield from _check_ignored_features(scene)


def _missing(scene: bpy.types.Scene, part: Part, found: Object | None) -> Violation:
    if found is None and (renamed := _renamed_object(scene, part)):
        return Violation(
            part.name,
            "there is no such object",
            f"Rename {renamed.name} to {part.name}: double-click it in the Outliner",
        )
    problem = f"it is of type {found.type}, not {KIND[part.type]}" if found else "there is no such object"
    rename = "Rename that object, then " if found else ""
    add = f"{HOW_TO_ADD[part.type]}, call it {part.name}, move it into the collection {part.collection}"
    return Violation(part.name, problem, rename + add)


def _renamed_object(scene: bpy.types.Scene, part: Part) -> Object | None:
    """The only object that could be this missing part under another name: of its type, in its collection."""
    collection = bpy.data.collections.get(part.collection)
    names = {other.name for other in contract.PARTS}
    found = [
        object_
        for object_ in (collection.objects if collection else ())
        if object_.type == part.type and object_.name not in names and object_.name in scene.objects
    ]
    return found[0] if len(found) == 1 else None


def _renamed_collection(scene: bpy.types.Scene, name: str) -> bpy.types.Collection | None:
    """The only collection that has the content of the missing one: lights, or any part."""
    parts = {part.name for part in contract.PARTS}
    found = [
        collection
        for collection in scene.collection.children
        if collection.name not in contract.COLLECTIONS
        and any(
            object_.type == "LIGHT" if name == contract.LIGHTS else object_.name in parts
            for object_ in collection.all_objects
        )
    ]
    return found[0] if len(found) == 1 else None


def _check_collection(part: Part, object_: Object) -> Iterator[Violation]:
    if part.collection not in {collection.name for collection in object_.users_collection}:
        yield Violation(part.name, f"it is not in the collection {part.collection}", "Drag it there in the Outliner")


def _check_unmoved(object_: Object) -> Iterator[Violation]:
    """The farm moves and hides these objects itself; a parent, constraint or animation would override that."""
    movers = {
        "a parent": object_.parent,
        "a constraint": object_.constraints,
        "an animation": object_.animation_data and (object_.animation_data.action or object_.animation_data.drivers),
    }
    for mover, present in movers.items():
        if present:
            yield Violation(
                object_.name,
                f"{mover} moves it",
                f"Remove it: {object_.name} must have no parent, constraint or animation",
            )


def _check_property(object_: Object, property_: Property) -> Iterator[Violation]:
    limits = f"from {property_.minimum:g} to {property_.maximum:g}"
    where = f"Object Properties > Custom Properties of {object_.name}"
    value = object_.get(property_.name)
    if value is None:
        yield Violation(
            object_.name,
            f"the property {property_.name} is missing",
            f"{where}: add {property_.name}, a float {limits}; {property_.usual:g} is usual",
        )
    elif type(value) not in (int, float) or not property_.minimum <= value <= property_.maximum:
        yield Violation(
            object_.name, f"the property {property_.name} is {value}", f"{where}: make it a number {limits}"
        )


def _check_subject(subject: Object) -> Iterator[Violation]:
    if not np.allclose(np.array(subject.matrix_world), np.eye(4), atol=TOLERANCE):
        yield Violation(
            subject.name,
            "it is not at the origin, or turned, or scaled",
            "Object > Clear > Location, Rotation and Scale",
        )


def _check_camera(camera: Object) -> Iterator[Violation]:
    if camera.data.type != "PERSP":
        yield Violation(
            camera.name,
            f"it is not a perspective camera but {camera.data.type.lower()}",
            "Camera Properties > Lens > Type: Perspective",
        )
    if camera.data.dof.use_dof:
        yield Violation(
            camera.name,
            "it has depth of field, whose focus would not follow the moving camera",
            "Camera Properties: untick Depth of Field",
        )
    if camera.data.shift_x or camera.data.shift_y:
        yield Violation(
            camera.name,
            "its lens is shifted, the model would leave the frame",
            "Camera Properties > Lens > Shift: 0, 0",
        )


def _check_ground(ground: Object) -> Iterator[Violation]:
    corners = np.array([ground.matrix_world @ vertex.co for vertex in ground.data.vertices]).reshape(-1, 3)
    if not ground.data.polygons or not np.allclose(corners[:, 2], 0, atol=TOLERANCE):
        yield Violation(ground.name, "it is not a flat face on z = 0", "Replace it by a plane at z = 0, not turned")
        return
    reach = min(*corners[:, :2].max(axis=0), *-corners[:, :2].min(axis=0))
    extent = ground.get("shadow_extent")
    if isinstance(extent, int | float) and math.isfinite(extent) and reach < extent:
        yield Violation(
            ground.name,
            f"it ends {reach:.2g} from the origin, but its shadow_extent is {extent:g}",
            "Scale the ground up, or make shadow_extent smaller",
        )


CHECKS = {"Subject": _check_subject, "Camera": _check_camera, "Ground": _check_ground}


def _check_lights(scene: bpy.types.Scene) -> Iterator[Violation]:
    lights = bpy.data.collections.get(contract.LIGHTS)
    inside = set(lights.all_objects) if lights else set()
    inside_lights = [object_ for object_ in inside if object_.type == "LIGHT"]
    if lights and not inside_lights:
        yield Violation(contract.LIGHTS, "there is no light in this collection", "Add > Light, and move it there")
    elif lights and not any(map(is_in_renders, inside_lights)):
        yield Violation(
            contract.LIGHTS,
            "all of its lights are hidden in renders",
            "Enable at least one: camera icon in the Outliner",
        )
    for object_ in scene.objects:
        if object_.type == "LIGHT" and object_ not in inside:
            yield Violation(
                object_.name, f"this light is not in the collection {contract.LIGHTS}", "Drag it there in the Outliner"
            )


def _check_extra_objects(scene: bpy.types.Scene) -> Iterator[Violation]:
    missing = [part for part in contract.PARTS if part.name not in scene.objects]
    allowed = [_renamed_object(scene, part) for part in missing] + members(scene)
    for object_ in scene.objects:
        drawn = object_.type in RENDERED_TYPES or object_.instance_type != "NONE"
        if drawn and not object_.hide_render and object_.name != "Ground" and object_ not in allowed:
            yield Violation(
                object_.name,
                "it would be drawn beside the model",
                "Delete it, or disable it in renders (camera icon in the Outliner); use an area light as a reflector, "
                f"or move it into a collection {contract.SET} if it is to be seen",
            )


def _check_color_management(scene: bpy.types.Scene) -> Iterator[Violation]:
    if scene.world is None:
        yield Violation("World", "the scene has no world", "World Properties > New")
    if scene.display_settings.display_device != contract.DISPLAY:
        yield Violation(
            scene.name,
            f"its display device is {scene.display_settings.display_device}",
            f"Render Properties > Color Management > Display Device: {contract.DISPLAY}",
        )
    if scene.view_settings.view_transform not in contract.VIEW_TRANSFORMS:
        yield Violation(
            scene.name,
            f"its view transform is {scene.view_settings.view_transform or 'missing'}",
            f"Render Properties > Color Management > View: one of {', '.join(contract.VIEW_TRANSFORMS)}",
        )


def _check_ignored_features(scene: bpy.types.Scene) -> Iterator[Violation]:
    """Features that Blender applies and the farm does not: the artist would see a different picture."""
    if scene.sequence_editor and scene.sequence_editor.strips:
        yield Violation(scene.name, "it has sequencer strips, which the farm ignores", "Delete them")
    if scene.use_nodes and any(node.type not in {"R_LAYERS", "COMPOSITE", "VIEWER"} for node in scene.node_tree.nodes):
        yield Violation(
            scene.name,
            "it has compositing nodes, which the farm ignores",
            "Compositing workspace: untick Use Nodes; exposure and look are in Render Properties > Color Management",
        )
