"""Select and configure a render engine, and Cycles' device."""

import os
from typing import Any

import bpy

from farm.scene.shot import BACK_ENDS, Engine

EEVEE = "BLENDER_EEVEE_NEXT" if bpy.app.version < (5, 0, 0) else "BLENDER_EEVEE"


def use_engine(engine: Engine, samples: int) -> None:
    """Select and configure an engine so that the same shot gives the same pixels every time.

    Raises RuntimeError when there is no device for it: Cycles itself would then draw on the CPU, without a word.
    """
    scene = bpy.context.scene
    if engine == "eevee":
        scene.render.engine = EEVEE
        scene.eevee.taa_render_samples = samples
        return
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    if engine in BACK_ENDS:
        _use_gpu(BACK_ENDS[engine])
    cycles.device = "GPU" if engine in BACK_ENDS else "CPU"
    cycles.samples, cycles.seed = samples, 0
    cycles.use_adaptive_sampling = False
    # The same pattern for every render: changing it while data is persistent would change the next frame.
    cycles.sampling_pattern = "TABULATED_SOBOL"
    cycles.use_denoising = False
    scene.render.use_persistent_data = True


def cycles_gpus() -> dict[Engine, str]:
    """The engines by which Cycles may draw on a GPU of this machine, each with the GPU's name. A driver may crash."""
    found = {engine: _gpu(back_end) for engine, back_end in BACK_ENDS.items()}
    return {engine: gpu.name for engine, gpu in found.items() if gpu}


def _use_gpu(back_end: str) -> None:
    """Let Cycles draw on this process' GPU alone, and not on the CPU beside it, which would change the picture."""
    gpu = _gpu(back_end)
    if gpu is None:
        raise RuntimeError(f"Cycles finds no GPU for {back_end}")
    preferences = _preferences()
    preferences.compute_device_type = back_end
    for device in preferences.devices:
        device.use = device == gpu


def _gpu(back_end: str) -> Any | None:
    """Cycles' device for this process: the GPU that its worker chose (farm.nodes.gpus), or else the first."""
    gpus = [device for device in _preferences().get_devices_for_type(back_end) if device.type == back_end]
    domain, *address = os.environ.get("DRI_PRIME", "").removeprefix("pci-").split("_")
    if len(address) == 3:  # bus, device and function, as in DRI_PRIME=pci-0000_03_00_0
        chosen = ":".join([domain, *address[:2]])
        gpus = [gpu for gpu in gpus if chosen in gpu.id]
    return gpus[0] if gpus else None


def _preferences() -> Any:
    return bpy.context.preferences.addons["cycles"].preferences
