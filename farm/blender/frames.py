"""One frame: its layers, drawn one after the other into raw files."""

from pathlib import Path

import numpy as np

from camera_paths import Pose
from farm.blender import pixels, reflections, shadows
from farm.blender.camera import Array, View, crop, view
from farm.blender.film import photograph, prepare
from farm.blender.stage import Stage
from farm.shot import Frame, Layer, ShadowMap, Shot

FILTER_BORDER = 2  # pixels; the pixel filter reaches 0.75 pixels beyond an edge
INVISIBLE = 1e-3  # a subject of less than this share of its size is not there at all


def draw(stage: Stage, shot: Shot, shadow: ShadowMap | None, number: int, pose: Pose, folder: Path) -> Frame:
    """Draw one frame: its layers go into raw RGBA files in `folder`, each cropped to what it shows.

    `shadow` is the one that all frames share; a subject that moves throws one of its own in every frame.
    """
    name = f"frame-{number:06d}"
    now = view(stage.lens, pose.azimuth, pose.radius)
    points = stage.go_to(number / shot.fps * shot.animation_speed, pose.scale)
    ground: Array = now.ground_to_pixel
    if pose.scale < INVISIBLE:
        nothing = pixels.write(pixels.clear(1, 1, shot.bits), folder / f"{name}.rgba", 0, 0)
        return Frame(number, shot.bits, nothing, None, None, tuple(ground.ravel().tolist()))
    if not stage.moves:
        ground = ground @ np.diag([pose.scale, pose.scale, 1.0])  # the shadow was baked at the subject's full size
    elif shot.shadows:
        shadow = shadows.bake(stage, folder / f"{name}-shadow.npy")
        prepare(stage, shot)
    return Frame(
        number=number,
        bits=shot.bits,
        subject=draw_subject(stage, now, points, folder / f"{name}.rgba"),
        reflection=reflections.draw(stage, now, points, folder / f"{name}-reflection.rgba") if shot.reflector else None,
        shadow=shadow,
        ground_to_pixel=tuple(ground.ravel().tolist()),
    )


def draw_subject(stage: Stage, now: View, points: Array, path: Path) -> Layer:
    """The subject alone."""
    left, top, right, bottom = crop(now, points, FILTER_BORDER)
    drawn = photograph(stage, now, (left, top, right, bottom), path.parent)
    pixels.settle_edges(drawn)
    return pixels.write(drawn, path, left, top)


def sweep(folder: Path) -> None:
    """Remove the frames that a client has left behind."""
    for leftover in folder.glob("frame-*"):
        leftover.unlink()
