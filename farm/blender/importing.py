"""Import a checked glTF file into the scene."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import bpy

from farm.blender import drawn_nodes
from farm.blender.materials import finish
from farm.errors import BadModel

Object: TypeAlias = bpy.types.Object
UNKNOWN_REASON = "it is damaged, or unlike what Blender expects; export it again"
_EXCEPTION = re.compile(r"(?P<type>[\w.]+): (?P<message>.+)")  # the line of a traceback after the stack
_ABOUT_CODE = {"AssertionError", "AttributeError", "KeyError", "NameError", "TypeError", "UnboundLocalError"}
_PATH = re.compile(r"(?<![\w.])/[^\s'\",;:]+")


@dataclass(frozen=True)
class Imported:
    """A model's objects at their positions in the file, and the duration of the chosen clip (0: no clip plays)."""

    objects: list[Object]
    clip_seconds: float


def import_model(path: Path, clip: str | None = None) -> Imported:
    """Import what a .glb or .gltf draws, without cameras and lights, with `clip` ready to play ("*": the first).

    Raises BadModel when Blender cannot read the file, there is no mesh in it, or it has no such clip.
    """
    before = set(bpy.data.objects)
    with _restored_clip(clip) as problems, _only_drawn_nodes():
        try:
            bpy.ops.import_scene.gltf(filepath=str(path), disable_bone_shape=True, import_scene_extras=False)
        except RuntimeError as error:
            raise BadModel(f"Blender cannot read the model: {_reason(error)}") from error
    if problems:
        raise BadModel(problems[0])
    objects = [object_ for object_ in bpy.data.objects if object_ not in before]
    unwanted = [object_ for object_ in objects if object_.type in {"CAMERA", "LIGHT"}]
    model_objects = [object_ for object_ in objects if object_ not in unwanted]
    bpy.data.batch_remove(unwanted)
    if not any(object_.type == "MESH" and object_.data.polygons for object_ in model_objects):
        raise BadModel("The model has no mesh: the file holds no surface that could be rendered")
    finish(model_objects)
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


@contextmanager
def _only_drawn_nodes() -> Iterator[None]:
    """Inside the block, the glTF importer skips the meshes that drawn_nodes.hide_others removes."""
    from io_scene_gltf2.io.imp.gltf2_io_gltf import glTFImporter  # type: ignore[import-not-found]

    checks: Callable[[Any], None] = glTFImporter.checks

    def check_and_hide(importer: Any) -> None:
        importer.extensions_managed.append("KHR_node_visibility")
        checks(importer)
        drawn_nodes.hide_others(importer.data)

    glTFImporter.checks = check_and_hide
    try:
        yield
    finally:
        glTFImporter.checks = checks


def _reason(error: RuntimeError) -> str:
    """The importer's message about the file. Of a Python traceback only the exception's message, without paths."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Location: ")]
    text = " ".join(lines).removeprefix("Error: ")
    if text.startswith("Python: "):
        exceptions = [found for line in lines[1:] if (found := _EXCEPTION.match(line))]
        text = exceptions[-1]["message"] if exceptions and exceptions[-1]["type"] not in _ABOUT_CODE else ""
    return _PATH.sub("...", text).strip() or UNKNOWN_REASON
