"""Select and configure a render engine."""

import bpy

from farm.scene.shot import Engine

EEVEE = "BLENDER_EEVEE_NEXT" if bpy.app.version < (5, 0, 0) else "BLENDER_EEVEE"


def use_engine(engine: Engine, samples: int) -> None:
    """Select and configure an engine so that the same shot gives the same pixels every time."""
    scene = bpy.context.scene
    if engine == "cycles":
        scene.render.engine = "CYCLES"
        cycles = scene.cycles
        cycles.device, cycles.samples, cycles.seed = "CPU", samples, 0
        cycles.use_adaptive_sampling = False
        # The same pattern for every render: changing it while data is persistent would change the next frame.
        cycles.sampling_pattern = "TABULATED_SOBOL"
        cycles.use_denoising = False
        scene.render.use_persistent_data = True
    else:
        scene.render.engine = EEVEE
        scene.eevee.taa_render_samples = samples
