"""Find content of a template that the artist sees in Blender and the farm's videos do not show, or show differently."""

import re
from collections.abc import Iterator

import bpy

from farm.blender.importing import Object
from farm.blender.materials import materials
from farm.templates import contract
from farm.templates.contract import Violation

TABS = {  # of the Properties, by the type of data-block; all others are data of an object
    "OBJECT": "Object Properties",
    "MATERIAL": "Material Properties or Shader Editor",
    "WORLD": "World Properties or Shader Editor",
    "SCENE": "Render Properties",
}
SHOWN_FOR = {"Indirect Only": " (with the render engine Cycles)"}
FRAME_PATHS = {"frame_current", "frame_current_final", "frame_float", "frame_subframe"}  # of a scene


def unseen_content(scene: bpy.types.Scene) -> Iterator[Violation]:
    """All such content of the open file, as violations."""
    yield from _excluded_collections()
    yield from _animation(scene)
    yield from _volume(scene.world)
    yield from _unsaved_tiles()
    ground = scene.objects.get("Ground")
    if ground and any(slot.material for slot in ground.material_slots):
        yield Violation(
            ground.name,
            "it has a material, which is never seen: only the shadow and the mirror image on it are drawn",
            "Material Properties: remove the material; the strength of both is in Custom Properties",
        )


def is_in_renders(object_: Object) -> bool:
    """Whether neither the object itself nor its collections are hidden in renders."""
    layer = bpy.context.view_layer
    return (
        not object_.hide_render
        and object_.name in layer.objects
        and any(not collection.hide_render for collection in object_.users_collection)
    )


def _excluded_collections() -> Iterator[Violation]:
    for layer in _layer_collections(bpy.context.view_layer.layer_collection):
        if layer.name not in contract.COLLECTIONS | contract.OPTIONAL_COLLECTIONS:
            continue
        if layer.exclude:
            yield Violation(layer.name, "it is excluded from the view layer", "Tick the collection in the Outliner")
        if layer.collection.hide_render:
            yield Violation(
                layer.name, "it is disabled in renders", "Enable it: the camera icon of the collection in the Outliner"
            )
        masks = {"Holdout": layer.holdout, "Indirect Only": layer.indirect_only}
        for mask in (name for name, is_set in masks.items() if is_set):
            yield Violation(
                layer.name,
                f"it is {mask} in the view layer, so its objects would be missing from the film",
                f"Right-click the collection in the Outliner > View Layer > Clear {mask}{SHOWN_FOR.get(mask, '')}",
            )


def _layer_collections(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    for child in layer.children:
        yield child
        yield from _layer_collections(child)


def _animation(scene: bpy.types.Scene) -> Iterator[Violation]:
    """All frames are drawn with the light and the set of one moment."""
    parts = {part.name for part in contract.PARTS}  # for these objects no animation at all is allowed
    others = [object_ for object_ in scene.objects if object_.name not in parts]
    meshes = [object_ for object_ in others if object_.type == "MESH"]
    owners: list[tuple[str, bpy.types.ID | None]] = [(object_.name, object_) for object_ in others]
    owners += [(object_.name, object_.data) for object_ in scene.objects if object_.type in {"LIGHT", "CAMERA"}]
    owners += [(object_.name, block) for object_ in meshes for block in (object_.data, object_.data.shape_keys)]
    owners += [(block.name, block) for block in (*materials(meshes), scene.world, scene) if block]
    by_owner = {owner: name for name, owner in reversed(owners) if owner}  # data of several objects is reported once
    for owner, name in reversed(by_owner.items()):
        for block in (owner, getattr(owner, "node_tree", None)):
            for values, fix in animations(block, TABS.get(owner.id_type, "Object Data Properties")):
                yield Violation(
                    name,
                    f"it is animated ({values}), and every frame is drawn with the light and the set of the first",
                    fix,
                )


def animations(block: bpy.types.ID | None, tab: str, *, all_drivers: bool = False) -> Iterator[tuple[str, str]]:
    """What animates a data-block over time, and how to remove it in `tab` of the Properties.

    Of drivers only those that use the frame count, unless `all_drivers`.
    """
    animation = block.animation_data if block else None
    if animation is None:
        return
    if keyed := _keyed_values(animation):
        yield ", ".join(keyed), f"{tab}: right-click the value > Clear Keyframes"
    if any(track.strips for track in animation.nla_tracks):
        yield "NLA strips", "Nonlinear Animation editor: delete its tracks"
    if driven := sorted({curve.data_path for curve in animation.drivers if all_drivers or _uses_frame(curve.driver)}):
        yield ", ".join(driven), f"{tab}: right-click the value > Delete Drivers"


def _keyed_values(animation: bpy.types.AnimData) -> list[str]:
    """The values with keyframes. Clearing the last keyframe leaves an action without curves, which animates nothing."""
    action, slot = animation.action, animation.action_slot
    if action is None or slot is None:
        return []
    bags = (strip.channelbag(slot) for layer in action.layers for strip in layer.strips)
    return sorted({curve.data_path for bag in bags if bag for curve in bag.fcurves})


def _uses_frame(driver: bpy.types.Driver) -> bool:
    """Whether its expression uses `frame`, or one of its variables reads the scene's current frame."""
    paths = (target.data_path for variable in driver.variables for target in variable.targets)
    return bool(re.search(r"\bframe\b", driver.expression)) or any(path in FRAME_PATHS for path in paths)


def _volume(world: bpy.types.World | None) -> Iterator[Violation]:
    if world is None or world.node_tree is None:
        return
    for node in world.node_tree.nodes:
        if node.type == "OUTPUT_WORLD" and node.inputs["Volume"].is_linked:
            yield Violation(
                world.name,
                "it has a volume, which would hide the model and its background",
                "Shader editor, World: delete the link to Volume of the World Output",
            )


def _unsaved_tiles() -> Iterator[Violation]:
    for image in bpy.data.images:
        if image.source == "TILED" and len(image.packed_files) < len(image.tiles):
            yield Violation(
                image.name,
                "some of its tiles are not saved in the .blend",
                "Image editor: Image > Save, then File > External Data > Pack Resources, and save",
            )
