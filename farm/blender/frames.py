"""Draw one frame of a shot: its layers, one after the other, into raw files."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from camera_paths import Pose
from farm.blender import pixels, reflections, shadows
from farm.blender.film import prepare, render_image, temporary_settings
from farm.blender.guides import Guides, render_denoised
from farm.blender.materials import is_opaque, materials
from farm.blender.stage import Stage, set_up
from farm.blender.unlit import Unlit
from farm.errors import BadModel
from farm.scene.camera import Array, View, crop, view
from farm.scene.shot import Frame, Layer, ShadowMap, ShotSetup

FILTER_BORDER = 2  # pixels; the pixel filter reaches 0.75 pixels beyond an edge
MIN_SCALE = 1e-3  # a subject below this share of its size is not drawn
MIN_SEEN_SCALE = 0.05  # below this share of its size it may cover no pixel


@dataclass(frozen=True)
class OpenShot:
    """A shot on its stage, with the data that all of its frames share."""

    shot: ShotSetup
    stage: Stage
    shadow: ShadowMap | None
    guides: Guides | None
    unlit: Unlit | None


def open_shot(shot: ShotSetup, folder: Path) -> OpenShot:
    """Set the stage for a shot and bake the shadow of a static subject. Raises BadModel and BadTemplate."""
    remove_leftovers(folder)
    stage = set_up(shot)
    static = casts_shadow(stage, shot) and not stage.moves
    shadow = shadows.bake(stage, folder / "shadow.npy") if static else None
    prepare(stage, shot)
    guides = Guides.of(stage, draft=shot.draft) if shot.engine != "eevee" else None
    return OpenShot(shot, stage, shadow, guides, Unlit.of(stage, draft=shot.draft))


def draw_frame(opened: OpenShot, number: int, pose: Pose, folder: Path) -> Frame:
    """Draw one frame: its layers go into raw RGBA files in `folder`, each cropped to its content."""
    shot, stage, shadow = opened.shot, opened.stage, opened.shadow
    name = f"frame-{number:06d}"
    camera = view(stage.lens, pose.azimuth, pose.radius)
    scale = max(pose.scale, MIN_SCALE) if stage.set else pose.scale
    points = stage.show_at(number / shot.fps * shot.animation_speed, scale)
    ground: Array = camera.ground_to_pixel
    if scale < MIN_SCALE:
        empty = pixels.write(pixels.clear(1, 1, shot.bits), folder / f"{name}.rgba", 0, 0)
        return Frame(number, shot.bits, empty, None, None, tuple(ground.ravel().tolist()))
    if not stage.moves:
        ground = ground @ np.diag([pose.scale, pose.scale, 1.0])  # the shadow was baked at the subject's full size
    elif casts_shadow(stage, shot):  # an animated subject casts a different shadow in every frame
        shadow = shadows.bake(stage, folder / f"{name}-shadow.npy")
        prepare(stage, shot)
    subject = draw_subject(opened, camera, points, folder / f"{name}.rgba")
    if not subject.seen and pose.scale >= MIN_SEEN_SCALE and not stage.moves and not is_edge_on(camera, points):
        raise BadModel(
            f"Nothing of the model is visible in frame {number}: its surfaces are transparent or show only their backs "
            "there. Materials without doubleSided are not drawn from behind: set doubleSided to true for surfaces that "
            "are seen from both sides"
        )
    reflection = folder / f"{name}-reflection.rgba"
    return Frame(
        number=number,
        bits=shot.bits,
        subject=subject.layer,
        reflection=reflections.draw_reflection(stage, camera, points, reflection, opened.guides, opened.unlit)
        if shot.reflector and stage.ground["reflector_strength"] > 0
        else None,
        shadow=shadow,
        ground_to_pixel=tuple(ground.ravel().tolist()),
    )


def casts_shadow(stage: Stage, shot: ShotSetup) -> bool:
    """Whether there is a shadow on the floor."""
    return shot.shadows and stage.ground["shadow_strength"] > 0


class Exposures(Protocol):
    """The stage, and how to draw the subject on it."""

    @property
    def stage(self) -> Stage: ...
    @property
    def guides(self) -> Guides | None: ...
    @property
    def unlit(self) -> Unlit | None: ...


@dataclass(frozen=True)
class Subject:
    """The layer of a frame with subject and set; `seen` tells whether the subject covers any pixel of it."""

    layer: Layer
    seen: bool


def draw_subject(opened: Exposures, camera: View, points: Array, path: Path) -> Subject:
    """Draw the subject and the set, without the floor's shadow and mirror image, into `path`."""
    stage = opened.stage
    box = crop(camera, np.concatenate([points, stage.set_points]), FILTER_BORDER)
    if opened.guides:
        drawn, _ = render_denoised(stage, opened.guides, camera, box, path.parent)
    else:
        drawn = render_image(stage, camera, box, path.parent)
        pixels.settle_edges(drawn, drawn[..., 3].copy())
    if opened.unlit:
        opened.unlit.expose(drawn, camera, box, path.parent)
    layer = pixels.write(drawn, path, box[0], box[1])
    return Subject(layer, _is_seen(opened, camera, points, path.parent) if stage.set else bool(drawn[..., 3].any()))


def _is_seen(opened: Exposures, camera: View, points: Array, folder: Path) -> bool:
    """Whether the subject covers any pixel beside and before the set."""
    stage = opened.stage
    if all(is_opaque(each) and not each.use_backface_culling for each in materials(stage.subject)):
        return True
    with ExitStack() as restored:
        if opened.guides:
            restored.enter_context(opened.guides.drawn())
        for object_ in stage.set:
            restored.enter_context(temporary_settings(object_, {"is_holdout": True}))
        return bool(render_image(stage, camera, crop(camera, points, FILTER_BORDER), folder)[..., 3].any())


def is_edge_on(camera: View, points: Array) -> bool:
    """Whether the subject is so flat, and seen so exactly from its edge, that it covers no pixel's width."""
    seen = camera.pixels(points)
    _, _, axes = np.linalg.svd(seen - seen.mean(axis=0), full_matrices=False)
    return bool(np.ptp(seen @ axes[-1]) < 1)


def remove_leftovers(folder: Path) -> None:
    """Remove frames that an earlier client has left."""
    for leftover in folder.glob("frame-*"):
        leftover.unlink()
