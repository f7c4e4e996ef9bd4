"""The ground's shadow, baked once: a static subject under fixed lights throws the same one in every frame."""

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from farm.blender.engines import use_engine
from farm.blender.film import read_exr
from farm.blender.stage import Stage
from farm.scene.shot import ShadowMap

LARGEST = 256  # pixels a side: a soft shadow has nothing finer to show
SMALLEST = 64
SAMPLES = 16
ABOVE = 20.0  # height of the looking-down camera, above any subject
DISPLAY_GAMMA = 2.2


def bake(stage: Stage, path: Path) -> ShadowMap:
    """Look straight down on the ground as a shadow catcher, the subject hidden from the camera only; save to `path`.

    Always drawn by Cycles, so that both engines stand on the same shadow.
    """
    extent = float(stage.ground["shadow_extent"])
    size = min(max(stage.lens.height // 2, SMALLEST), LARGEST)
    scene = bpy.context.scene
    use_engine("cycles", SAMPLES)
    stage.ground.hide_render, stage.ground.is_shadow_catcher = False, True
    for thing in stage.subject:
        thing.visible_camera = False
    above = bpy.data.objects.new("Above", bpy.data.cameras.new("Above"))
    above.data.type, above.data.ortho_scale, above.data.clip_end = "ORTHO", 2 * extent, 2 * ABOVE
    above.matrix_world = Matrix.Translation((0.0, 0.0, ABOVE))
    scene.collection.objects.link(above)
    scene.camera = above
    render = scene.render
    render.resolution_x = render.resolution_y = size
    render.resolution_percentage, render.use_border, render.film_transparent = 100, False, True
    render.use_compositing = render.use_sequencer = False
    render.image_settings.file_format, render.image_settings.color_mode = "OPEN_EXR", "RGBA"
    render.image_settings.color_depth = "32"
    exposure = path.with_suffix(".exr")
    render.filepath = str(exposure)
    bpy.ops.render.render(write_still=True)
    for thing in stage.subject:
        thing.visible_camera = True
    bpy.data.objects.remove(above)
    np.save(path, soften(read_exr(exposure)[..., 3], strength=float(stage.ground["shadow_strength"])))
    exposure.unlink()
    return ShadowMap(path=str(path), size=size, extent=extent)


def soften(alpha: NDArray[np.float32], *, strength: float) -> NDArray[np.float32]:
    """From the catcher's alpha to opacities for compositing in display space, fading to nothing at the border.

    Darkening light by (1 - alpha) darkens display values by its gamma root, whatever the background is.
    """
    size = alpha.shape[0]
    across = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    distance = np.hypot(across[:, None], across[None, :])
    fade = np.clip((1 - distance) / 0.6, 0, 1)
    fade = fade * fade * (3 - 2 * fade)
    light = 1 - np.clip(alpha, 0, 1) * strength
    return ((1 - light ** (1 / DISPLAY_GAMMA)) * fade).astype(np.float32)
