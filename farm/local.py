"""`farm render`: one render on this machine without a server, by the very code that the workers run."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from farm import intake, plan
from farm.blender.client import Blender, BlenderHost
from farm.errors import FarmError, InvalidSettings
from farm.nodes.engine import choose_engine
from farm.nodes.scratch import own_scratch
from farm.production import produce, shot_to_draw
from farm.render_settings import RenderSettings
from farm.settings import Settings
from farm.tiers import TIERS
from farm.video.run import executable
from farm.video.variant import Files, Variant


@dataclass(frozen=True)
class LocalRender:
    """A render about to run: `steps` yields the number of frames done, of `frames`, and ends when OUT is written."""

    frames: int
    steps: Iterator[int]


@contextmanager
def render(model: Path, wish: RenderSettings, out: Path, settings: Settings) -> Iterator[LocalRender]:
    """Check the model, start Blender, and hand out the render. Raises FarmError.

    Writes the video to `out` and the poster beside it, with the suffix .png.
    """
    if wish.bg_image_id:
        raise InvalidSettings(
            "renderSettings.bgImageId names a picture that a farm keeps; here there is none: use bgColor"
        )
    wish.check_against(intake.check_model(model, model.name).clips, admin=True)
    _make_room(out, ".mov" if TIERS[wish.quality].has_alpha else ".mp4")
    spec = plan.shot(hashlib.sha256(model.read_bytes()).hexdigest(), wish, settings)
    with own_scratch(settings.scratch) as scratch:
        engine = choose_engine(settings, scratch)
        files = Files(scratch, spec.tier)
        with BlenderHost(scratch) as host:
            with Blender(host.socket_path, settings.frame_timeout) as blender:
                variant = Variant(spec, wish, None, files, executable(settings.ffmpeg))
                shot = shot_to_draw(spec, model.absolute(), engine)
                yield LocalRender(spec.frames, produce(blender, shot, spec, variant))
            shutil.move(files.videos["video"], out)
            shutil.move(files.posters["poster-full"], out.with_suffix(".png"))


def _make_room(out: Path, suffix: str) -> None:
    """Make the folder of OUT, and see now, not after minutes of drawing, that the video can be written there."""
    if out.suffix.lower() != suffix or out.is_dir():
        raise FarmError(f"{out} cannot be the video: name a file that ends in {suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise FarmError(f"{out} cannot be written: {error.strerror}") from error
