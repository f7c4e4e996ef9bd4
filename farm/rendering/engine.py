"""Select the render engine of this machine: EEVEE where a GPU provides OpenGL, Cycles on the CPU elsewhere."""

from dataclasses import dataclass
from pathlib import Path

import structlog

from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.errors import RenderFailed
from farm.processes.sandbox import Sandbox, of_blender
from farm.scene.shot import Engine
from farm.settings import Settings

log = structlog.get_logger()

PROBE_TIMEOUT_SECONDS = 180.0  # a cold driver compiles EEVEE's shaders first
DEVICE_FILES = ("/dev/dri/renderD*", "/dev/nvidia[0-9]*", "/dev/dxg")


@dataclass(frozen=True)
class Gpu:
    """The OpenGL device that EEVEE would draw on."""

    renderer: str
    vendor: str
    software: bool


def choose_engine(settings: Settings, scratch: Path) -> Engine:
    """The engine set by FARM_ENGINE; if that is auto, the one that this machine supports best."""
    return select_engine(settings, None if settings.engine != "auto" else probe(scratch, of_blender(settings)))


def select_engine(settings: Settings, gpu: Gpu | None) -> Engine:
    """As `choose_engine`, for a GPU that was probed already."""
    if settings.engine != "auto":
        return settings.engine
    engine: Engine = "cycles" if gpu is None or gpu.software else "eevee"
    log.info("engine_selected", engine=engine, gpu=gpu.renderer if gpu else None)
    return engine


def probe(scratch: Path, confined_by: Sandbox) -> Gpu | None:
    """The device that EEVEE draws on, from a separate Blender; None when there is no GPU or EEVEE cannot start.

    The Blender is a separate process because without an OpenGL driver its first EEVEE frame ends it.
    """
    if not device_files():
        return None
    host = BlenderHost(scratch, confined_by)
    try:
        host.start()
        with Blender(host.socket_path, PROBE_TIMEOUT_SECONDS) as blender:
            return Gpu(**blender.gpu())
    except RenderFailed:
        return None
    finally:
        host.kill()


def device_files() -> list[Path]:
    """The machine's GPU device files. Without any, OpenGL is available in software only."""
    return [path for pattern in DEVICE_FILES for path in Path("/").glob(pattern.lstrip("/"))]
