"""One frame: its layers, drawn one after the other into raw files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camera_paths import Pose
from farm.blender import pixels, reflections, shadows
from farm.blender.film import photograph, prepare
from farm.blender.silhouettes import Silhouette
from farm.blender.stage import Stage, set_up
from farm.scene.camera import Array, View, crop, view
from farm.scene.shot import Frame, Layer, ShadowMap, ShotSetup

FILTER_BORDER = 2  # pixels; the pixel filter reaches 0.75 pixels beyond an edge
INVISIBLE = 1e-3  # a subject of less than this share of its size is not there at all


@dataclass(frozen=True)
class OpenShot:
    """A shot on its stage, with what all of its frames share."""

    shot: ShotSetup
    stage: Stage
    shadow: ShadowMap | None
    silhouette: Silhouette | None


def open_shot(shot: ShotSetup, folder: Path) -> OpenShot:
    """Set the stage for a shot, and bake the ground's shadow where one is wanted. Raises BadModel."""
    remove_leftovers(folder)
    stage = set_up(shot)
    static = shot.shadows and not stage.moves
    shadow = shadows.bake(stage, folder / "shadow.npy") if static else None
    prepare(stage, shot)
    return OpenShot(shot, stage, shadow, Silhouette.of(stage) if shot.engine == "cycles" else None)


def draw_frame(opened: OpenShot, number: int, pose: Pose, folder: Path) -> Frame:
    """Draw one frame: its layers go into raw RGBA files in `folder`, each cropped to what it shows."""
    shot, stage, shadow = opened.shot, opened.stage, opened.shadow
    name = f"frame-{number:06d}"
    now = view(stage.lens, pose.azimuth, pose.radius)
    points = stage.go_to(number / shot.fps * shot.animation_speed, pose.scale)
    ground: Array = now.ground_to_pixel
    if pose.scale < INVISIBLE:
        nothing = pixels.write(pixels.clear(1, 1, shot.bits), folder / f"{name}.rgba", 0, 0)
        return Frame(number, shot.bits, nothing, None, None, tuple(ground.ravel().tolist()))
    if not stage.moves:
        ground = ground @ np.diag([pose.scale, pose.scale, 1.0])  # the shadow was baked at the subject's full size
    elif shot.shadows:  # a subject that moves throws another shadow in every frame
        shadow = shadows.bake(stage, folder / f"{name}-shadow.npy")
        prepare(stage, shot)
    return Frame(
        number=number,
        bits=shot.bits,
        subject=draw_subject(stage, now, points, folder / f"{name}.rgba", opened.silhouette),
        reflection=reflections.draw_reflection(stage, now, points, folder / f"{name}-reflection.rgba")
        if shot.reflector
        else None,
        shadow=shadow,
        ground_to_pixel=tuple(ground.ravel().tolist()),
    )


def draw_subject(stage: Stage, now: View, points: Array, path: Path, silhouette: Silhouette | None) -> Layer:
    """The subject alone."""
    box = crop(now, points, FILTER_BORDER)
    drawn = photograph(stage, now, box, path.parent)
    painted = drawn[..., 3].copy()
    if silhouette:
        with silhouette.drawn():
            drawn[..., 3] = photograph(stage, now, box, path.parent)[..., 3]
    pixels.settle_edges(drawn, painted)
    return pixels.write(drawn, path, box[0], box[1])


def remove_leftovers(folder: Path) -> None:
    """Remove the frames that a client has left behind."""
    for leftover in folder.glob("frame-*"):
        leftover.unlink()
