"""The film in the camera: its size and format, and one exposure of a part of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from farm.blender import pixels
from farm.blender.engines import use_engine
from farm.blender.stage import Stage
from farm.scene.camera import View
from farm.scene.shot import ShotSetup

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels of the full frame, right and bottom excluded


def prepare(stage: Stage, shot: ShotSetup) -> None:
    """Set up everything that stays the same over the shot's frames. The ground is not drawn: its shadow is baked."""
    scene = bpy.context.scene
    use_engine(shot.engine, shot.samples)
    stage.ground.hide_render = True
    scene.camera = stage.camera
    stage.camera.data.sensor_fit, stage.camera.data.sensor_width = "AUTO", 36.0
    stage.camera.data.clip_start, stage.camera.data.clip_end = 0.01, 1000.0
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = shot.width, shot.height, 100
    render.use_border = render.use_crop_to_border = True
    render.film_transparent, render.dither_intensity = True, 0.0
    render.use_compositing = render.use_sequencer = False
    bpy.context.view_layer.use_pass_position = shot.reflector
    image = render.image_settings
    image.file_format, image.color_mode = ("TARGA_RAW" if shot.bits == 8 else "TIFF"), "RGBA"
    if shot.bits == 16:
        image.color_depth, image.tiff_codec = "16", "NONE"


def photograph(stage: Stage, now: View, box: Box, folder: Path) -> pixels.Pixels:
    """What the camera sees in `box`: (height, width, 4), RGBA, straight alpha."""
    drawing = folder / f"drawing{bpy.context.scene.render.file_extension}"
    expose(stage, now, box, drawing)
    return pixels.read(drawing)


def expose(stage: Stage, now: View, box: Box, path: Path) -> None:
    """Write what the camera sees in `box` to `path`, in the format that is set up."""
    stand(stage.camera, now)
    left, top, right, bottom = box
    render = bpy.context.scene.render
    # Blender truncates the border to pixels, hence the nudge; its y axis points up.
    nudge, width, height = 1e-3, now.lens.width, now.lens.height
    render.border_min_x, render.border_max_x = (left + nudge) / width, (right + nudge) / width
    render.border_min_y, render.border_max_y = (height - bottom + nudge) / height, (height - top + nudge) / height
    render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def stand(camera: bpy.types.Object, now: View) -> None:
    """Put Blender's camera where the view says."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = now.axes, now.position
    camera.matrix_world = Matrix(matrix.tolist())


@contextmanager
def changed(owner: Any, settings: dict[str, Any]) -> Iterator[None]:
    """While it lasts, the owner's properties have these values.

    What is so already is not touched: setting the engine, to itself even, throws Cycles' kept data away.
    """
    usual = {name: getattr(owner, name) for name, value in settings.items() if getattr(owner, name) != value}
    for name in usual:
        setattr(owner, name, settings[name])
    try:
        yield
    finally:
        for name, value in usual.items():
            setattr(owner, name, value)


def read_exr(path: Path) -> NDArray[np.float32]:
    """An OpenEXR picture as it is, without any colour management: (height, width, 4), rows top down."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
    width, height = image.size
    flat = np.empty(width * height * 4, dtype=np.float32)
    image.pixels.foreach_get(flat)
    bpy.data.images.remove(image)
    return flat.reshape(height, width, 4)[::-1]
