"""Drawing: engine settings, one frame at a time, and the pixels as raw bytes."""

import itertools
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from farm.blender.camera import Array, View, crop, view
from farm.blender.stage import Stage
from farm.shot import Engine, Frame, Layer, ShadowMap, Shot

EEVEE = "BLENDER_EEVEE_NEXT" if bpy.app.version < (5, 0, 0) else "BLENDER_EEVEE"
FILTER_BORDER = 2  # pixels; the pixel filter reaches 0.75 pixels beyond an edge
TGA_HEADER = 18

Pixels = NDArray[np.uint8]


def use_engine(engine: Engine, samples: int) -> None:
    """Choose and set up an engine, so that the same shot gives the same pixels every time."""
    scene = bpy.context.scene
    if engine == "cycles":
        scene.render.engine = "CYCLES"
        cycles = scene.cycles
        cycles.device, cycles.samples, cycles.seed = "CPU", samples, 0
        cycles.use_adaptive_sampling = False
        cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
        cycles.denoising_quality, cycles.denoising_prefilter = "FAST", "FAST"
        cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
        scene.render.use_persistent_data = True
    else:
        scene.render.engine = EEVEE
        scene.eevee.taa_render_samples = samples


def prepare(stage: Stage, shot: Shot) -> None:
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
    render.image_settings.file_format, render.image_settings.color_mode = "TARGA_RAW", "RGBA"


def draw(stage: Stage, shadow: ShadowMap | None, number: int, azimuth: float, radius: float, folder: Path) -> Frame:
    """Draw one frame of the subject alone, cropped to it, into a raw RGBA file in `folder`."""
    now = view(stage.lens, azimuth, radius)
    stand(stage.camera, now)
    left, top, right, bottom = crop(now, stage.points, FILTER_BORDER)
    render = bpy.context.scene.render
    # Blender truncates the border to pixels, hence the nudge; its y axis points up.
    nudge, width, height = 1e-3, now.lens.width, now.lens.height
    render.border_min_x, render.border_max_x = (left + nudge) / width, (right + nudge) / width
    render.border_min_y, render.border_max_y = (height - bottom + nudge) / height, (height - top + nudge) / height
    drawing = folder / "drawing.tga"
    render.filepath = str(drawing)
    bpy.ops.render.render(write_still=True)
    pixels = read_tga(drawing)
    settle_edges(pixels)
    path = folder / f"frame-{number:06d}.rgba"
    pixels.tofile(path)
    ground: Array = now.ground_to_pixel
    return Frame(
        number=number,
        bits=8,
        subject=Layer(str(path), left, top, width=pixels.shape[1], height=pixels.shape[0]),
        reflection=None,
        shadow=shadow,
        ground_to_pixel=tuple(ground.ravel().tolist()),
    )


def stand(camera: bpy.types.Object, now: View) -> None:
    """Put Blender's camera where the view says."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = now.axes, now.position
    camera.matrix_world = Matrix(matrix.tolist())


def sweep(folder: Path) -> None:
    """Remove the frames that a client has left behind."""
    for leftover in folder.glob("frame-*.rgba"):
        leftover.unlink()


def read_tga(path: Path) -> Pixels:
    """Pixels of an uncompressed 32-bit TGA as Blender writes it: (height, width, 4), RGBA, rows top down."""
    data = np.fromfile(path, dtype=np.uint8)
    width, height = (int(data[at]) | int(data[at + 1]) << 8 for at in (12, 14))
    rows = data[TGA_HEADER : TGA_HEADER + width * height * 4].reshape(height, width, 4)
    return np.ascontiguousarray(rows[::-1, :, [2, 1, 0, 3]])


def settle_edges(pixels: Pixels) -> None:
    """Give the silhouette's half-covered pixels the colour of the whole ones beside them, in place.

    Colours are denoised and alpha is not, so straight colours at the edge come out too dark or too bright by chance:
    a fringe. Only pixels between empty and fully covered ones change; glass and thin wires keep their colours.
    """
    reach = 2  # pixels over which the pixel filter spreads an edge
    rows, columns = np.nonzero((pixels[..., 3] > 0) & (pixels[..., 3] < 255))
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)))
    total = np.zeros((len(rows), 3), dtype=np.float32)
    weight = np.zeros(len(rows), dtype=np.float32)
    at_the_rim = np.zeros(len(rows), dtype=bool)
    for down, right in itertools.product(range(-reach, reach + 1), repeat=2):
        near = padded[rows + reach + down, columns + reach + right]
        closeness = np.where(near[:, 3] == 255, 1 / (down * down + right * right or 1) ** 2, 0.0).astype(np.float32)
        total += near[:, :3] * closeness[:, None]
        weight += closeness
        at_the_rim |= near[:, 3] == 0
    mend = at_the_rim & (weight > 0)
    pixels[rows[mend], columns[mend], :3] = np.rint(total[mend] / weight[mend, None])
