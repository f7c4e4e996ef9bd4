"""Which engine draws on this machine: EEVEE where a real GPU does OpenGL, Cycles on the CPU elsewhere."""

from dataclasses import dataclass
from pathlib import Path

import structlog

from farm.blender.client import Blender, BlenderHost
from farm.errors import RenderFailed
from farm.scene.shot import Engine
from farm.settings import Settings

log = structlog.get_logger()

PROBE_TIMEOUT_SECONDS = 180.0  # seconds; a cold driver compiles EEVEE's shaders first
DEVICE_FILES = ("/dev/dri/renderD*", "/dev/nvidia[0-9]*", "/dev/dxg")


@dataclass(frozen=True)
class Gpu:
    """What OpenGL says of the device that EEVEE would draw on."""

    renderer: str
    vendor: str
    software: bool


def choose_engine(settings: Settings, scratch: Path) -> Engine:
    """The engine that FARM_ENGINE forces, or the one that suits this machine."""
    return select_engine(settings, None if settings.engine != "auto" else probe(scratch))


def select_engine(settings: Settings, gpu: Gpu | None) -> Engine:
    """As `choose_engine`, for a device that is known."""
    if settings.engine != "auto":
        return settings.engine
    engine: Engine = "cycles" if gpu is None or gpu.software else "eevee"
    log.info("engine chosen", engine=engine, gpu=gpu.renderer if gpu else None)
    return engine


def probe(scratch: Path) -> Gpu | None:
    """Ask a Blender of its own which device EEVEE draws on; None when there is no GPU device or EEVEE cannot start.

    Without any OpenGL driver the first EEVEE frame ends the process, hence a process of its own.
    """
    if not device_files():
        return None
    host = BlenderHost(scratch)
    try:
        host.start()
        with Blender(host.socket_path, PROBE_TIMEOUT_SECONDS) as blender:
            return Gpu(**blender.gpu())
    except RenderFailed:
        return None
    finally:
        host.kill()


def device_files() -> list[Path]:
    """The GPU devices that this machine shows. None at all means that OpenGL can only be done in software."""
    return [path for pattern in DEVICE_FILES for path in Path("/").glob(pattern.lstrip("/"))]
