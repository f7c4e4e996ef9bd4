"""Whether the scene that is open keeps the contract of a template (farm/templates/contract.py)."""

import math
from collections.abc import Iterator

import bpy
import numpy as np

from farm.blender.importing import Object
from farm.templates import contract
from farm.templates.contract import BrokenPromise, Part, Property

EXACTLY = 1e-4  # scene units within which something counts as being in its place
DRAWN = {"MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD", "VOLUME", "GREASEPENCIL"}
HOW_TO_ADD = {"EMPTY": "Add > Empty > Plain Axes", "CAMERA": "Add > Camera", "MESH": "Add > Mesh > Plane"}
KIND = {"EMPTY": "an empty", "CAMERA": "a camera", "MESH": "a mesh"}


def broken_promises(scene: bpy.types.Scene) -> Iterator[BrokenPromise]:
    """Everything that is wrong, each with its mend."""
    if len(bpy.data.scenes) > 1:
        names = ", ".join(sorted(scene.name for scene in bpy.data.scenes))
        yield BrokenPromise(scene.name, f"there is more than one scene: {names}", "Delete all but one")
    for name in contract.COLLECTIONS:
        if name not in scene.collection.children:
            yield BrokenPromise(
                name, "there is no collection of this name", f"Right-click Scene Collection > New, call it {name}"
            )
    for part in contract.PARTS:
        thing = scene.objects.get(part.name)
        if thing is None or thing.type != part.type:
            yield _missing(part, thing)
            continue
        yield from _belongs(part, thing)
        yield from _stands_still(thing)
        for wanted in part.properties:
            yield from _property(thing, wanted)
        yield from SPECIAL[part.name](thing)
    yield from _lights(scene)
    yield from _drawn_besides(scene)
    yield from _look(scene)
    yield from _left_out(scene)


def _missing(part: Part, found: Object | None) -> BrokenPromise:
    problem = f"it is of type {found.type}, not {KIND[part.type]}" if found else "there is no such object"
    rename = "Give that one another name, then " if found else ""
    add = f"{HOW_TO_ADD[part.type]}, call it {part.name}, move it into the collection {part.collection}"
    return BrokenPromise(part.name, problem, rename + add)


def _belongs(part: Part, thing: Object) -> Iterator[BrokenPromise]:
    if part.collection not in {collection.name for collection in thing.users_collection}:
        yield BrokenPromise(
            part.name, f"it is not in the collection {part.collection}", "Drag it there in the Outliner"
        )


def _stands_still(thing: Object) -> Iterator[BrokenPromise]:
    """The farm itself moves or hides the contract's objects; whatever else does so would win."""
    movers = {
        "a parent": thing.parent,
        "a constraint": thing.constraints,
        "an animation": thing.animation_data and (thing.animation_data.action or thing.animation_data.drivers),
    }
    for mover, there in movers.items():
        if there:
            yield BrokenPromise(thing.name, f"{mover} moves it", f"Remove it: {thing.name} must stand by itself")


def _property(thing: Object, wanted: Property) -> Iterator[BrokenPromise]:
    limits = f"from {wanted.minimum:g} to {wanted.maximum:g}"
    where = f"Object Properties > Custom Properties of {thing.name}"
    value = thing.get(wanted.name)
    if value is None:
        yield BrokenPromise(
            thing.name,
            f"the property {wanted.name} is missing",
            f"{where}: add {wanted.name}, a float {limits}; {wanted.usual:g} is usual",
        )
    elif type(value) not in (int, float) or not wanted.minimum <= value <= wanted.maximum:
        yield BrokenPromise(thing.name, f"the property {wanted.name} is {value}", f"{where}: make it a number {limits}")


def _subject(place: Object) -> Iterator[BrokenPromise]:
    if not np.allclose(np.array(place.matrix_world), np.eye(4), atol=EXACTLY):
        yield BrokenPromise(
            place.name, "it is not at the origin, or turned, or scaled", "Object > Clear > Location, Rotation and Scale"
        )


def _camera(camera: Object) -> Iterator[BrokenPromise]:
    if camera.data.type != "PERSP":
        yield BrokenPromise(
            camera.name,
            f"it is not a perspective camera but {camera.data.type.lower()}",
            "Camera Properties > Lens > Type: Perspective",
        )
    if camera.data.dof.use_dof:
        yield BrokenPromise(
            camera.name,
            "it has depth of field, whose focus would not follow the camera around",
            "Camera Properties: untick Depth of Field",
        )
    if camera.data.shift_x or camera.data.shift_y:
        yield BrokenPromise(
            camera.name,
            "its lens is shifted, the model would leave the frame",
            "Camera Properties > Lens > Shift: 0, 0",
        )


def _ground(ground: Object) -> Iterator[BrokenPromise]:
    corners = np.array([ground.matrix_world @ vertex.co for vertex in ground.data.vertices]).reshape(-1, 3)
    if not ground.data.polygons or not np.allclose(corners[:, 2], 0, atol=EXACTLY):
        yield BrokenPromise(ground.name, "it is not a flat face on z = 0", "Replace it by a plane at z = 0, not turned")
        return
    reach = min(*corners[:, :2].max(axis=0), *-corners[:, :2].min(axis=0))
    extent = ground.get("shadow_extent")
    if isinstance(extent, int | float) and math.isfinite(extent) and reach < extent:
        yield BrokenPromise(
            ground.name,
            f"it ends {reach:.2g} from the origin, but its shadow_extent is {extent:g}",
            "Scale the ground up, or make shadow_extent smaller",
        )


SPECIAL = {"Subject": _subject, "Camera": _camera, "Ground": _ground}


def _lights(scene: bpy.types.Scene) -> Iterator[BrokenPromise]:
    lights = bpy.data.collections.get(contract.LIGHTS)
    inside = set(lights.all_objects) if lights else set()
    if lights and not any(thing.type == "LIGHT" and not thing.hide_render for thing in inside):
        yield BrokenPromise(contract.LIGHTS, "there is no light in this collection", "Add > Light, and move it there")
    for thing in scene.objects:
        if thing.type == "LIGHT" and thing not in inside:
            yield BrokenPromise(
                thing.name, f"this light is not in the collection {contract.LIGHTS}", "Drag it there in the Outliner"
            )


def _drawn_besides(scene: bpy.types.Scene) -> Iterator[BrokenPromise]:
    for thing in scene.objects:
        drawn = thing.type in DRAWN or thing.instance_type != "NONE"
        if drawn and not thing.hide_render and thing.name != "Ground":
            yield BrokenPromise(
                thing.name,
                "it would be drawn beside the model",
                "Delete it, or disable it in renders (camera icon in the Outliner); for a reflector take an area light",
            )


def _look(scene: bpy.types.Scene) -> Iterator[BrokenPromise]:
    if scene.world is None:
        yield BrokenPromise("World", "the scene has no world", "World Properties > New")
    if scene.display_settings.display_device != contract.DISPLAY:
        yield BrokenPromise(
            scene.name,
            f"its display device is {scene.display_settings.display_device}",
            f"Render Properties > Color Management > Display Device: {contract.DISPLAY}",
        )
    if scene.view_settings.view_transform not in contract.VIEW_TRANSFORMS:
        yield BrokenPromise(
            scene.name,
            f"its view transform is {scene.view_settings.view_transform or 'missing'}",
            f"Render Properties > Color Management > View: one of {', '.join(contract.VIEW_TRANSFORMS)}",
        )


def _left_out(scene: bpy.types.Scene) -> Iterator[BrokenPromise]:
    """What the farm does not do, although the artist sees it in Blender: then the pictures would differ."""
    if scene.sequence_editor and scene.sequence_editor.strips:
        yield BrokenPromise(scene.name, "it has sequencer strips, which the farm ignores", "Delete them")
    if scene.use_nodes and any(node.type not in {"R_LAYERS", "COMPOSITE", "VIEWER"} for node in scene.node_tree.nodes):
        yield BrokenPromise(
            scene.name,
            "it has compositing nodes, which the farm ignores",
            "Compositing workspace: untick Use Nodes; exposure and look are in Render Properties > Color Management",
        )
