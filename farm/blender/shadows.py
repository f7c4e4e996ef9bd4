"""Bake the ground's shadow, which a static subject under fixed lights casts unchanged in every frame."""

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from farm.blender.culling import closed_passages
from farm.blender.engines import use_engine
from farm.blender.film import read_exr, temporary_settings
from farm.blender.materials import materials
from farm.blender.sets import hidden
from farm.blender.stage import Stage
from farm.scene.shot import ShadowMap

MIN_SIZE_PIXELS, MAX_SIZE_PIXELS = 64, 256  # per side; a soft shadow has no finer detail
SAMPLES = 16
DENOISER = {
    "use_denoising": True,
    "denoiser": "OPENIMAGEDENOISE",
    "denoising_quality": "FAST",
    "denoising_prefilter": "FAST",
    "denoising_input_passes": "RGB_ALBEDO_NORMAL",
}
CAMERA_HEIGHT = 20.0  # scene units, above any subject
DISPLAY_GAMMA = 2.2


def bake(stage: Stage, path: Path) -> ShadowMap:
    """Render the ground as a shadow catcher from above, the subject hidden from the camera only; save to `path`.

    Of a set only the gobos take part: what the camera sees of it receives the subject's shadow itself.
    Always drawn by Cycles, so that both engines have the same shadow.
    """
    extent = float(stage.ground["shadow_extent"])
    size = min(max(stage.lens.height // 2, MIN_SIZE_PIXELS), MAX_SIZE_PIXELS)
    scene = bpy.context.scene
    use_engine("cycles", SAMPLES)
    stage.ground.hide_render, stage.ground.is_shadow_catcher = False, True
    for object_ in stage.subject:
        object_.visible_camera = False
    above = bpy.data.objects.new("Above", bpy.data.cameras.new("Above"))
    above.data.type, above.data.ortho_scale, above.data.clip_end = "ORTHO", 2 * extent, 2 * CAMERA_HEIGHT
    above.matrix_world = Matrix.Translation((0.0, 0.0, CAMERA_HEIGHT))
    scene.collection.objects.link(above)
    scene.camera = above
    render = scene.render
    render.resolution_x = render.resolution_y = size
    render.resolution_percentage, render.use_border, render.film_transparent = 100, False, True
    render.use_compositing = render.use_sequencer = False
    render.image_settings.file_format, render.image_settings.color_mode = "OPEN_EXR", "RGBA"
    render.image_settings.color_depth = "32"
    picture = path.with_suffix(".exr")
    render.filepath = str(picture)
    denoised = temporary_settings(scene.cycles, DENOISER)
    with closed_passages(materials(stage.subject)), hidden(stage.seen_set), denoised:
        bpy.ops.render.render(write_still=True)
    for object_ in stage.subject:
        object_.visible_camera = True
    bpy.data.objects.remove(above)
    np.save(path, soften(read_exr(picture)[..., 3], strength=float(stage.ground["shadow_strength"])))
    picture.unlink()
    return ShadowMap(path=str(path), size=size, extent=extent)


def soften(alpha: NDArray[np.float32], *, strength: float) -> NDArray[np.float32]:
    """Convert the catcher's alpha to opacities for compositing in display space, fading to 0 at the border.

    Scaling linear light by (1 - alpha) scales display values by the gamma root of that, for any background.
    """
    size = alpha.shape[0]
    across = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    distance = np.hypot(across[:, None], across[None, :])
    fade = np.clip((1 - distance) / 0.6, 0, 1)
    fade = fade * fade * (3 - 2 * fade)
    light = 1 - np.clip(alpha, 0, 1) * strength
    return ((1 - light ** (1 / DISPLAY_GAMMA)) * fade).astype(np.float32)
