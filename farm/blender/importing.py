"""Import a checked glTF file into the scene."""

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
    """A model's objects at their positions in the file, and the duration of the chosen clip (0: no clip plays)."""

    objects: list[Object]
    clip_seconds: float


def import_model(path: Path, clip: str | None = None) -> Imported:
    """Import a .glb or .gltf without its cameras and lights, with `clip` ready to play ("*": the file's first).

    Raises BadModel when Blender cannot read the file, there is no mesh in it, or it has no such clip.
    """
    before = set(bpy.data.objects)
    with _restored_clip(clip) as problems:
        try:
            bpy.ops.import_scene.gltf(filepath=str(path), disable_bone_shape=True, import_scene_extras=False)
        except RuntimeError as error:
            raise BadModel(f"Blender cannot read the model: {_last_line(error)}") from error
    if problems:
        raise BadModel(problems[0])
    objects = [object_ for object_ in bpy.data.objects if object_ not in before]
    unwanted = [object_ for object_ in objects if object_.type in {"CAMERA", "LIGHT"}]
    model_objects = [object_ for object_ in objects if object_ not in unwanted]
    bpy.data.batch_remove(unwanted)
    if not any(object_.type == "MESH" and object_.data.polygons for object_ in model_objects):
        raise BadModel("The model has no mesh: the file holds no surface that could be rendered")
    for material in {slot.material for object_ in model_objects for slot in object_.material_slots if slot.material}:
        finish(material)
    return Imported(model_objects, _keep_clip(model_objects) if clip else _drop_clips(model_objects))


@contextmanager
def _restored_clip(clip: str | None) -> Iterator[list[str]]:
    """Inside the block, the glTF importer applies `clip` only. Yields a list of problems, filled by the import.

    By default the importer ends by posing the model at the start of its first clip instead of in the file's pose.
    """
    from io_scene_gltf2.blender.imp.animation import BlenderAnimation  # type: ignore[import-not-found]

    restore: Callable[[Any, str], None] = BlenderAnimation.restore_animation
    problems: list[str] = [] if clip is None else ["The model has no animation clips"]

    def choose(gltf: Any, _first: str) -> None:
        if clip is None:
            return
        animations = gltf.data.animations
        names = [animation.name for animation in animations]
        if clip != "*" and clip not in names:
            problems[:] = [f"The model has no animation clip {clip!r}; it has: {', '.join(map(repr, names))}"]
            return
        problems.clear()
        restore(gltf, animations[0 if clip == "*" else names.index(clip)].track_name)

    BlenderAnimation.restore_animation = staticmethod(choose)
    try:
        yield problems
    finally:
        BlenderAnimation.restore_animation = staticmethod(restore)


def _keep_clip(objects: list[Object]) -> float:
    """Keep the active actions and remove the other clips' tracks. Returns the duration in seconds."""
    last = 0.0
    for data in _animation_data(objects):
        for track in list(data.nla_tracks):
            data.nla_tracks.remove(track)
        if data.action:
            last = max(last, data.action.frame_range[1])
    return last / float(bpy.context.scene.render.fps)


def _drop_clips(objects: list[Object]) -> float:
    for data in _animation_data(objects):
        data.id_data.animation_data_clear()
    return 0.0


def _animation_data(objects: list[Object]) -> list[Any]:
    """The animation data of all imported objects, morph targets and materials."""
    owners: list[Any] = list(objects)
    for object_ in objects:
        owners += [object_.data.shape_keys] if object_.type == "MESH" and object_.data.shape_keys else []
        materials = [slot.material for slot in object_.material_slots if slot.material]
        owners += [*materials, *(material.node_tree for material in materials if material.node_tree)]
    return [owner.animation_data for owner in dict.fromkeys(owners) if owner.animation_data]


def _last_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else "no reason given"
