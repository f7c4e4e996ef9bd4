"""From a checked file to objects in the scene."""

from pathlib import Path
from typing import TypeAlias

import bpy

from farm.errors import BadModel

Object: TypeAlias = bpy.types.Object


def import_model(path: Path) -> list[Object]:
    """Import a .glb or .gltf and return its objects, still where the file put them, without cameras and lights.

    Raises BadModel when Blender cannot read the file or there is no mesh in it.
    """
    before = set(bpy.data.objects)
    _keep_the_files_own_pose()
    try:
        bpy.ops.import_scene.gltf(filepath=str(path), disable_bone_shape=True, import_scene_extras=False)
    except RuntimeError as error:
        raise BadModel(f"Blender cannot read the model: {_last_line(error)}") from error
    objects = [thing for thing in bpy.data.objects if thing not in before]
    for thing in objects:
        thing.animation_data_clear()  # a clip plays only where it is asked for
        if thing.type == "MESH" and thing.data.shape_keys:
            thing.data.shape_keys.animation_data_clear()
    unwanted = [thing for thing in objects if thing.type in {"CAMERA", "LIGHT"}]
    kept = [thing for thing in objects if thing not in unwanted]
    bpy.data.batch_remove(unwanted)
    if not any(thing.type == "MESH" and thing.data.polygons for thing in kept):
        raise BadModel("The model has no mesh: the file holds no surface that could be rendered")
    return kept


def _keep_the_files_own_pose() -> None:
    """Without this the importer ends by posing the model as its first clip begins, and clearing that comes too late."""
    from io_scene_gltf2.blender.imp.animation import BlenderAnimation  # type: ignore[import-not-found]

    BlenderAnimation.restore_animation = staticmethod(lambda *_: None)


def _last_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else "no reason given"
