"""Find content of a template that the artist sees in Blender and the farm's videos do not show, or show differently."""

import re
from collections.abc import Iterator

import bpy

from farm.blender.importing import Object
from farm.blender.materials import materials
from farm.templates import contract
from farm.templates.contract import Violation


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


def _layer_collections(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    for child in layer.children:
        yield child
        yield from _layer_collections(child)


def _animation(scene: bpy.types.Scene) -> Iterator[Violation]:
    """All frames are drawn with the light and the set of one moment."""
    parts = {part.name for part in contract.PARTS}  # for these objects no animation at all is allowed
    owners: list[bpy.types.ID | None] = [object_ for object_ in scene.objects if object_.name not in parts]
    owners += [object_.data for object_ in scene.objects if object_.type in {"LIGHT", "CAMERA"}]
    meshes = [object_ for object_ in scene.objects if object_.type == "MESH" and object_.name not in parts]
    owners += [block for object_ in meshes for block in (object_.data, object_.data.shape_keys)]
    owners += materials(meshes)
    for owner in dict.fromkeys([*owners, scene.world, scene]):
        for block in (owner, getattr(owner, "node_tree", None)):
            if block and _moves(block.animation_data):
                assert owner
                yield Violation(
                    owner.user.name if isinstance(owner, bpy.types.Key) else owner.name,
                    "it is animated, and the farm draws every frame with the light and the set of the first",
                    "Its tab of the Properties: right-click the animated value > Clear Keyframes or Drivers",
                )


def _moves(animation: bpy.types.AnimData | None) -> bool:
    if animation is None:
        return False
    by_frame = (re.search(r"\bframe\b", curve.driver.expression) for curve in animation.drivers)
    return bool(animation.action or animation.nla_tracks or any(by_frame))


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
