"""Draw a still of a model in a template, once or at every save of the template."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from camera_paths import Pose
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost, memory_limit
from farm.errors import FarmError
from farm.orders import plan
from farm.scene.shot import Engine, ShotSetup
from farm.settings import Settings
from farm.video.composite import Compositor

AZIMUTH = 25.0  # degrees: slightly from the right, to show front, side and shadow
SAMPLES = 8
WHITE = (255, 255, 255)
POLL_SECONDS = 0.25


def still(host: BlenderHost, template: Path, model: Path, out: Path, engine: Engine, settings: Settings) -> None:
    """Draw the model in the template's light on white, at a share video's size, into the PNG `out`. Raises FarmError.

    `out` is replaced atomically, so that an image viewer may watch it.
    """
    if out.suffix.lower() != ".png" or out.is_dir():
        raise FarmError(f"{out} cannot be written: name a file that ends in .png")
    out.parent.mkdir(parents=True, exist_ok=True)
    host.ensure_ready()
    width, height = plan.frame_size("share", "16:9", settings.scale)
    shot = ShotSetup(
        model_path=str(model.absolute()),
        template=str(template.absolute()),
        width=width,
        height=height,
        samples=settings.samples or SAMPLES,
        engine=engine,
        shadows=True,
    )
    compositor = Compositor(Image.new("RGB", (width, height), WHITE), vignette=0.0)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    with Blender(host.socket_path, settings.frame_timeout, memory_limit(settings.blender_bytes)) as blender:
        blender.open_shot(shot)
        for frame in blender.frames([(0, Pose(AZIMUTH))]):
            Image.fromarray(compositor.over(frame)).save(temporary, "PNG")
    temporary.replace(out)


def saves(file: Path) -> Iterator[None]:
    """Yield once at the start, then after every change of the file that is followed by POLL_SECONDS without one."""
    before = reported = None
    while True:
        now = _stamp(file)
        if now and now == before != reported:
            reported = now
            yield
        before = now
        time.sleep(POLL_SECONDS)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """Changes with every save; None while the file is missing, as it is briefly while being replaced."""
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
