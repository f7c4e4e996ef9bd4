"""A still of a template with a model on it, and a new one whenever the artist saves."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from camera_paths import Pose
from farm.blender.client import Blender, BlenderHost
from farm.errors import FarmError
from farm.orders import plan
from farm.scene.shot import Engine, ShotSetup
from farm.settings import Settings
from farm.video.composite import Compositor

AZIMUTH = 25.0  # degrees: a little from the right, where front, side and shadow are seen
SAMPLES = 8
WHITE = (255, 255, 255)
POLL = 0.25  # seconds between two looks at a file that is watched


def still(host: BlenderHost, template: Path, model: Path, out: Path, engine: Engine, settings: Settings) -> None:
    """Draw the model in the template's light on white, at a share video's size, into the PNG `out`. Raises FarmError.

    An older picture stays until the new one is whole, so that an image viewer may watch it.
    """
    if out.suffix.lower() != ".png" or out.is_dir():
        raise FarmError(f"{out} cannot be the still: name a file that ends in .png")
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
    part = out.with_name(f".{out.name}.{os.getpid()}")
    with Blender(host.socket_path, settings.frame_timeout) as blender:
        blender.open_shot(shot)
        for frame in blender.frames([(0, Pose(AZIMUTH))]):
            Image.fromarray(compositor.over(frame)).save(part, "PNG")
    part.replace(out)


def saves(file: Path) -> Iterator[None]:
    """Yields for the file as it is, and whenever it has changed and then been left alone for a moment; endless."""
    before = handed_out = None
    while True:
        now = _stamp(file)
        if now and now == before != handed_out:
            handed_out = now
            yield
        before = now
        time.sleep(POLL)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """Changes with every save; None while the file is away, as it is for a moment when it is replaced."""
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
