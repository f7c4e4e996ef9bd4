"""The camera's film: its size and format, and rendering a part of it."""

import errno
import shutil
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
from farm.scene import exr
from farm.scene.camera import View
from farm.scene.shot import ShotSetup

Plane = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels of the full frame, right and bottom excluded

# Image settings of files with all passes in linear light, for farm.scene.exr.
PASSES_FILE = {"file_format": "OPEN_EXR_MULTILAYER", "color_depth": "32", "exr_codec": "NONE"}

# Cycles renders a large picture in tiles, which it keeps in a file; it does not say why it cannot write one.
TILE_NOT_WRITTEN = "Error writing tile to file"
BYTES_PER_PIXEL = 64  # of such a file, with all passes

# Cycles' light tree takes a quarter of the sampling. With the three lights of a studio, more samples are worth more.
MAX_LIGHTS_WITHOUT_TREE = 4
MIN_TRANSPARENT_BOUNCES = 64  # backs of single-sided faces behind each other that the camera looks through


def prepare(stage: Stage, shot: ShotSetup) -> None:
    """Apply all settings that are the same for the shot's frames. The ground is hidden: its shadow is baked."""
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
    lights = [object_ for object_ in scene.objects if object_.type == "LIGHT"]
    scene.cycles.use_light_tree = len(lights) > MAX_LIGHTS_WITHOUT_TREE
    scene.cycles.transparent_max_bounces = max(scene.cycles.transparent_max_bounces, MIN_TRANSPARENT_BOUNCES)
    bpy.context.view_layer.use_pass_position = shot.reflector
    image = render.image_settings
    image.file_format, image.color_mode = ("TARGA_RAW" if shot.bits == 8 else "TIFF"), "RGBA"
    if shot.bits == 16:
        image.color_depth, image.tiff_codec = "16", "NONE"


def render_image(stage: Stage, view: View, box: Box, folder: Path) -> pixels.Pixels:
    """Render the part of the frame in `box`: (height, width, 4), RGBA, straight alpha."""
    path = folder / f"drawing{bpy.context.scene.render.file_extension}"
    render_to_file(stage, view, box, path)
    return pixels.read(path)


def render_passes(stage: Stage, view: View, box: Box, folder: Path) -> dict[str, Plane]:
    """Render the part of the frame in `box` in linear light: the channels of the passes, as farm.scene.exr reads them.

    Colours are premultiplied with alpha.
    """
    path = folder / "frame-passes.exr"  # removed like frames when the host is killed
    with temporary_settings(bpy.context.scene.render.image_settings, PASSES_FILE):
        render_to_file(stage, view, box, path)
    try:
        return exr.read(path)
    finally:
        path.unlink(missing_ok=True)


def stacked(passes: dict[str, Plane], name: str, axes: str) -> Plane:
    """The channels of one pass, such as "XYZ" of "Normal", in one array: (height, width, axes)."""
    return np.stack([passes[f"{name}.{axis}"] for axis in axes], axis=-1)


def to_display(colours: Plane, alpha: Plane, folder: Path) -> pixels.Pixels:
    """Apply the template's view transform, as a render does: (height, width, 4), RGBA, straight alpha.

    `colours` of shape (height, width, 3) are linear light, premultiplied with `alpha` of shape (height, width). Raises
    OSError on a full disk.
    """
    scene = bpy.context.scene
    height, width = alpha.shape
    rgba = np.dstack([colours, alpha])[::-1].astype(np.float32)
    image = bpy.data.images.new("Linear", width, height, alpha=True, float_buffer=True)
    image.alpha_mode = "PREMUL"
    image.pixels.foreach_set(rgba.ravel())
    path = folder / f"frame-displayed{scene.render.file_extension}"
    try:
        image.save_render(str(path), scene=scene)
        return pixels.read(path)
    except RuntimeError as error:  # what Blender reports of a TIFF on a full disk
        raise OSError(errno.ENOSPC, "no room for the whole picture", str(path)) from error
    finally:
        bpy.data.images.remove(image)
        path.unlink(missing_ok=True)


def render_to_file(stage: Stage, view: View, box: Box, path: Path) -> None:
    """Render the part of the frame in `box` to `path`, in the configured format."""
    place_camera(stage.camera, view)
    left, top, right, bottom = box
    render = bpy.context.scene.render
    # Blender truncates the border to pixels, hence the nudge; its y axis points up.
    nudge, width, height = 1e-3, view.lens.width, view.lens.height
    render.border_min_x, render.border_max_x = (left + nudge) / width, (right + nudge) / width
    render.border_min_y, render.border_max_y = (height - bottom + nudge) / height, (height - top + nudge) / height
    render.filepath = str(path)
    try:
        bpy.ops.render.render(write_still=True)
    except RuntimeError as error:
        if TILE_NOT_WRITTEN not in str(error):
            raise
        if shutil.disk_usage(path.parent).free < width * height * BYTES_PER_PIXEL:
            raise OSError(errno.ENOSPC, "no room for the picture's tiles", str(path)) from error
        raise MemoryError from error


def place_camera(camera: bpy.types.Object, view: View) -> None:
    """Move Blender's camera to the view's position and orientation."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = view.axes, view.position
    camera.matrix_world = Matrix(matrix.tolist())


@contextmanager
def temporary_settings(owner: Any, settings: dict[str, Any]) -> Iterator[None]:
    """Inside the block, the owner's properties have these values.

    Properties that have the value already are not assigned: assigning the same engine discards Cycles' persistent data.
    """
    originals = {name: getattr(owner, name) for name, value in settings.items() if getattr(owner, name) != value}
    for name in originals:
        setattr(owner, name, settings[name])
    try:
        yield
    finally:
        for name, value in originals.items():
            setattr(owner, name, value)


def read_exr(path: Path) -> Plane:
    """Read an OpenEXR picture without colour management: (height, width, 4), rows top down."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
    width, height = image.size
    flat = np.empty(width * height * 4, dtype=np.float32)
    image.pixels.foreach_get(flat)
    bpy.data.images.remove(image)
    return flat.reshape(height, width, 4)[::-1]
