"""From a checked file to objects in the scene."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import bpy

from farm.blender.materials import finish
from farm.errors import BadModel

Object: TypeAlias = bpy.types.Object


@dataclass(frozen=True)
class Imported:
    """A model's objects, still where the file put them, and the seconds that the chosen clip lasts (0: none plays)."""

    objects: list[Object]
    clip_seconds: float


def import_model(path: Path, clip: str | None = None) -> Imported:
    """Import a .glb or .gltf without its cameras and lights, with `clip` ready to play ("*": the file's first).

    Raises BadModel when Blender cannot read the file, there is no mesh in it, or it has no such clip.
    """
    before = set(bpy.data.objects)
    with _only(clip) as refused:
        try:
            bpy.ops.import_scene.gltf(filepath=str(path), disable_bone_shape=True, import_scene_extras=False)
        except RuntimeError as error:
            raise BadModel(f"Blender cannot read the model: {_last_line(error)}") from error
    if refused:
        raise BadModel(refused[0])
    objects = [thing for thing in bpy.data.objects if thing not in before]
    unwanted = [thing for thing in objects if thing.type in {"CAMERA", "LIGHT"}]
    kept = [thing for thing in objects if thing not in unwanted]
    bpy.data.batch_remove(unwanted)
    if not any(thing.type == "MESH" and thing.data.polygons for thing in kept):
        raise BadModel("The model has no mesh: the file holds no surface that could be rendered")
    for material in {slot.material for thing in kept for slot in thing.material_slots if slot.material}:
        finish(material)
    return Imported(kept, _keep_clip(kept) if clip else _drop_clips(kept))


@contextmanager
def _only(clip: str | None) -> Iterator[list[str]]:
    """While it lasts, an import sets the model in motion by `clip` alone. Yields what is wrong with that, if anything.

    Left alone, the importer ends by posing the model as its first clip begins, whatever pose the file gives it.
    """
    from io_scene_gltf2.blender.imp.animation import BlenderAnimation  # type: ignore[import-not-found]

    restore: Callable[[Any, str], None] = BlenderAnimation.restore_animation
    refused: list[str] = [] if clip is None else ["The model has no animation clips"]

    def choose(gltf: Any, _first: str) -> None:
        if clip is None:
            return
        animations = gltf.data.animations
        names = [animation.name for animation in animations]
        if clip != "*" and clip not in names:
            refused[:] = [f"The model has no animation clip {clip!r}; it has: {', '.join(map(repr, names))}"]
            return
        refused.clear()
        restore(gltf, animations[0 if clip == "*" else names.index(clip)].track_name)

    BlenderAnimation.restore_animation = staticmethod(choose)
    try:
        yield refused
    finally:
        BlenderAnimation.restore_animation = staticmethod(restore)


def _keep_clip(objects: list[Object]) -> float:
    """Leave the actions that were set, without the other clips' tracks. Returns the seconds that they last."""
    last = 0.0
    for moving in _moving(objects):
        for track in list(moving.nla_tracks):
            moving.nla_tracks.remove(track)
        if moving.action:
            last = max(last, moving.action.frame_range[1])
    return last / float(bpy.context.scene.render.fps)


def _drop_clips(objects: list[Object]) -> float:
    for moving in _moving(objects):
        moving.id_data.animation_data_clear()
    return 0.0


def _moving(objects: list[Object]) -> list[Any]:
    """All animation data that an import can have made: of objects, morph targets and materials."""
    owners: list[Any] = list(objects)
    for thing in objects:
        owners += [thing.data.shape_keys] if thing.type == "MESH" and thing.data.shape_keys else []
        materials = [slot.material for slot in thing.material_slots if slot.material]
        owners += [*materials, *(material.node_tree for material in materials if material.node_tree)]
    return [owner.animation_data for owner in dict.fromkeys(owners) if owner.animation_data]


def _last_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else "no reason given"
