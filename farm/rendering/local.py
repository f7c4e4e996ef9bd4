"""Render a video, a dataset or stills on this machine without a server, by the same code as the workers."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from farm import intake
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost, memory_limit
from farm.dataset.produce import draw_views, finish
from farm.errors import FarmError, InvalidSettings
from farm.intake.check import check_model
from farm.orders import dataset_plan, plan
from farm.orders.render_settings import RenderSettings
from farm.processes import sandbox
from farm.processes.scratch import own_scratch
from farm.rendering.engine import choose_engine
from farm.rendering.production import draw_frames, produce, shot_setup
from farm.scene.shot import Engine
from farm.settings import DEFAULT_LIMITS, ModelLimits, Settings
from farm.tiers import TIERS
from farm.video import backgrounds
from farm.video.backgrounds import OverlayPicture
from farm.video.composite import Compositor
from farm.video.run import executable
from farm.video.variant import Files, Variant

STILL_SUPERSAMPLING = 2  # stills are drawn larger by this factor and scaled down: smooth edges from few samples
STILL_SAMPLES = 4
STILL_FPS = 30  # of the frames that stills are selected from


@dataclass(frozen=True)
class LocalRender:
    """A render that is ready to run: iterating `steps` runs it, yielding the count of finished `frames` (or views)."""

    frames: int
    steps: Iterator[int]


@contextmanager
def render(
    model: Path, request: RenderSettings, out: Path, settings: Settings, background: Path | None = None
) -> Iterator[LocalRender]:
    """Check the model or a scan's ZIP, start Blender, and yield the render, to be run inside the block.

    `background` is a picture that replaces the settings' background colour. Raises FarmError. Writes the video to `out`
    and the poster beside it, with the suffix .png, when the block ends.
    """
    _check_settings(request)
    prepare_output(out, ".mov" if TIERS[request.quality].has_alpha else ".mp4")
    spec = plan.shot(_digest(model), request, settings)
    with own_scratch(settings.scratch) as folder:
        gltf = as_gltf(model, folder, settings)
        request.check_against(check_model(gltf, gltf.name, settings).clips, admin=True)
        with _blender(settings) as (blender, engine, scratch):
            files = Files(scratch, spec.tier)
            picture = OverlayPicture(background, request.bg_align) if background else None
            variant = Variant(spec, request, picture, files, executable(settings.ffmpeg))
            frames = draw_frames(blender, shot_setup(spec, gltf.absolute(), engine), spec, range(spec.frames))
            yield LocalRender(spec.frames, produce(frames, [variant]))
            shutil.move(files.videos["video"], out)
            shutil.move(files.posters["poster-full"], out.with_suffix(".png"))


@contextmanager
def dataset(model: Path, request: RenderSettings, out: Path, settings: Settings) -> Iterator[LocalRender]:
    """Check the model or a scan's ZIP, start Blender, and yield the dataset, to be run inside the block.

    The last step writes the ZIP to `out`. Raises FarmError.
    """
    prepare_output(out, ".zip")
    spec = dataset_plan.dataset(_digest(model), request, settings)
    with (
        own_scratch(settings.scratch) as converted,
        # On the disk of `out` and not in memory: a large dataset takes gigabytes.
        tempfile.TemporaryDirectory(prefix=f".{out.stem}-", dir=out.parent) as folder,
    ):
        gltf = as_gltf(model, converted, settings)
        check_model(gltf, gltf.name, settings)
        with _blender(settings) as (blender, engine, _):

            def steps() -> Iterator[int]:
                parts = []
                shot = spec.shot(str(gltf.absolute()), engine)
                for part in draw_views(blender, shot, spec, range(spec.views), Path(folder)):
                    parts.append(part)
                    yield len(parts)
                archive = Path(folder) / "dataset.zip"
                finish(spec, parts.__getitem__, archive)
                archive.replace(out)

            yield LocalRender(spec.views, steps())


def as_gltf(model: Path, folder: Path, limits: ModelLimits = DEFAULT_LIMITS) -> Path:
    """The model as a glTF that Blender can read: itself, or a GLB that is made in `folder`. Raises InvalidFormat."""
    is_scan = intake.is_scan(model.name)
    if not is_scan and not check_model(model, model.name, limits).packed:
        return model
    glb = folder / "converted.glb"
    with glb.open("wb") as file:
        asyncio.run(
            intake.convert_scan(model, file, limits, folder) if is_scan else intake.unpack_model(model, file, folder)
        )
    return glb


def stills(
    model: Path, request: RenderSettings, settings: Settings, *, times: Sequence[float], size: int
) -> list[Image.Image]:
    """The video's pictures at these ascending normalised times in [0, 1], each a square of `size` pixels.

    Raises FarmError.
    """
    check(model, request, settings)
    video = plan.shot(_digest(model), request, settings.model_copy(update={"fps": STILL_FPS}))
    side = plan.even(STILL_SUPERSAMPLING * size)
    spec = replace(video, width=side, height=side, samples=settings.samples or STILL_SAMPLES)
    poses = spec.poses()
    numbers = [min(round(t * spec.frames), spec.frames - 1) for t in times]
    compositor = Compositor(backgrounds.plain(request.background, side, side), request.vignette or 0.0)
    with _blender(settings) as (blender, engine, scratch):
        blender.open_shot(shot_setup(spec, as_gltf(model, scratch, settings).absolute(), engine))
        return [
            Image.fromarray(compositor.over(frame)).resize((size, size), Image.Resampling.LANCZOS)
            for frame in blender.frames((number, poses[number]) for number in numbers)
        ]


def check(model: Path, request: RenderSettings, limits: ModelLimits) -> None:
    """Raises FarmError when the file is not a valid model, or cannot be rendered as requested here."""
    _check_settings(request)
    request.check_against(check_model(model, model.name, limits).clips, admin=True)


def _check_settings(request: RenderSettings) -> None:
    """Raises InvalidSettings when they cannot be rendered here, whatever the model."""
    if request.is_dataset:
        raise InvalidSettings("renderSettings request a dataset, which this command does not make: use `farm dataset`")
    if request.bg_image_id:
        raise InvalidSettings(
            "renderSettings.bgImageId names a picture stored by a farm, and this command runs without one: use"
            " --background FILE, or bgColor"
        )
    if request.fg_image_id:
        raise InvalidSettings(
            "renderSettings.fgImageId names a picture stored by a farm, and this command runs without one"
        )


@contextmanager
def _blender(settings: Settings) -> Iterator[tuple[Blender, Engine, Path]]:
    """A Blender that runs for the duration of the block, the engine of this machine, and a scratch folder.

    Raises SandboxTooWeak.
    """
    confined_by = sandbox.of_blender(settings)
    with own_scratch(settings.scratch) as scratch:
        engine = choose_engine(settings, scratch)
        limit = memory_limit(settings.blender_bytes)
        with (
            BlenderHost(scratch, confined_by) as host,
            Blender(host.socket_path, settings.frame_timeout, limit) as blender,
        ):
            yield blender, engine, scratch


def _digest(model: Path) -> str:
    return hashlib.sha256(model.read_bytes()).hexdigest()


def prepare_output(out: Path, suffix: str) -> None:
    """Create the folder of `out` and check that it is writable before any drawing starts. Raises FarmError."""
    if out.suffix.lower() != suffix or out.is_dir():
        raise FarmError(f"{out} cannot be written: name a file that ends in {suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise FarmError(f"{out} cannot be written: {error.strerror}") from error
