"""Draw one frame of a shot: its layers, one after the other, into raw files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camera_paths import Pose
from farm.blender import pixels, reflections, shadows
from farm.blender.film import prepare, render_image
from farm.blender.silhouettes import Silhouette
from farm.blender.stage import Stage, set_up
from farm.scene.camera import Array, View, crop, view
from farm.scene.shot import Frame, Layer, ShadowMap, ShotSetup

FILTER_BORDER = 2  # pixels; the pixel filter reaches 0.75 pixels beyond an edge
MIN_SCALE = 1e-3  # a subject below this share of its size is not drawn


@dataclass(frozen=True)
class OpenShot:
    """A shot on its stage, with the data that all of its frames share."""

    shot: ShotSetup
    stage: Stage
    shadow: ShadowMap | None
    silhouette: Silhouette | None


def open_shot(shot: ShotSetup, folder: Path) -> OpenShot:
    """Set the stage for a shot and bake the shadow of a static subject. Raises BadModel and BadTemplate."""
    remove_leftovers(folder)
    stage = set_up(shot)
    static = shot.shadows and not stage.moves
    shadow = shadows.bake(stage, folder / "shadow.npy") if static else None
    prepare(stage, shot)
    return OpenShot(shot, stage, shadow, Silhouette.of(stage) if shot.engine == "cycles" else None)


def draw_frame(opened: OpenShot, number: int, pose: Pose, folder: Path) -> Frame:
    """Draw one frame: its layers go into raw RGBA files in `folder`, each cropped to its content."""
    shot, stage, shadow = opened.shot, opened.stage, opened.shadow
    name = f"frame-{number:06d}"
    camera = view(stage.lens, pose.azimuth, pose.radius)
    points = stage.show_at(number / shot.fps * shot.animation_speed, pose.scale)
    ground: Array = camera.ground_to_pixel
    if pose.scale < MIN_SCALE:
        empty = pixels.write(pixels.clear(1, 1, shot.bits), folder / f"{name}.rgba", 0, 0)
        return Frame(number, shot.bits, empty, None, None, tuple(ground.ravel().tolist()))
    if not stage.moves:
        ground = ground @ np.diag([pose.scale, pose.scale, 1.0])  # the shadow was baked at the subject's full size
    elif shot.shadows:  # an animated subject casts a different shadow in every frame
        shadow = shadows.bake(stage, folder / f"{name}-shadow.npy")
        prepare(stage, shot)
    return Frame(
        number=number,
        bits=shot.bits,
        subject=draw_subject(stage, camera, points, folder / f"{name}.rgba", opened.silhouette),
        reflection=reflections.draw_reflection(stage, camera, points, folder / f"{name}-reflection.rgba")
        if shot.reflector
        else None,
        shadow=shadow,
        ground_to_pixel=tuple(ground.ravel().tolist()),
    )


def draw_subject(stage: Stage, camera: View, points: Array, path: Path, silhouette: Silhouette | None) -> Layer:
    """Draw the subject without shadow and mirror image into `path`."""
    box = crop(camera, points, FILTER_BORDER)
    drawn = render_image(stage, camera, box, path.parent)
    painted = drawn[..., 3].copy()
    if silhouette:
        with silhouette.drawn():
            drawn[..., 3] = render_image(stage, camera, box, path.parent)[..., 3]
    pixels.settle_edges(drawn, painted)
    return pixels.write(drawn, path, box[0], box[1])


def remove_leftovers(folder: Path) -> None:
    """Remove frames that an earlier client has left."""
    for leftover in folder.glob("frame-*"):
        leftover.unlink()
