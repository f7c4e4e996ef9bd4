"""Draw a still or a contact sheet of a model in a template, once or at every save of the template."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from camera_paths import Pose
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost, memory_limit
from farm.errors import FarmError
from farm.orders import plan
from farm.orders.effects import PATHS
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import RenderSettings
from farm.rendering.production import shot_setup
from farm.scene.shot import FULL_TURN, Engine
from farm.settings import Settings
from farm.video import backgrounds
from farm.video.backgrounds import OverlayPicture
from farm.video.composite import Compositor

AZIMUTH = 25.0  # degrees: slightly from the right, to show front, side and shadow
SAMPLES = 8
SHEET_STILLS, SHEET_COLUMNS, GAP_PIXELS = 8, 4, 8
GAP_COLOUR = (128, 128, 128)
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Preview:
    """A preview of the template in the file `template`: `model` as `request` says, but for its `scene`.

    A still shows it from `rotateY` (default: AZIMUTH), a `sheet` in SHEET_STILLS moments of the effect.
    `background` is a picture that replaces the colour.
    """

    template: Path
    model: Path
    request: RenderSettings
    background: Path | None = None
    sheet: bool = False


def draw(host: BlenderHost, preview: Preview, out: Path, engine: Engine, settings: Settings) -> None:
    """Draw the preview into the PNG `out`: a still at the video's size, a sheet's stills at half. Raises FarmError.

    `out` is replaced atomically, so that an image viewer may watch it.
    """
    if out.suffix.lower() != ".png" or out.is_dir():
        raise FarmError(f"{out} cannot be written: name a file that ends in .png")
    out.parent.mkdir(parents=True, exist_ok=True)
    host.ensure_ready()
    request = preview.request
    spec = replace(plan.shot("", request, settings), samples=settings.samples or SAMPLES)
    if preview.sheet:
        spec = replace(spec, width=plan.even(spec.width / 2), height=plan.even(spec.height / 2))
    shot = replace(shot_setup(spec, preview.model.absolute(), engine), template=str(preview.template.absolute()))
    if not preview.sheet:
        shot = replace(shot, path=FULL_TURN)
    size = spec.width, spec.height
    background = backgrounds.plain(request.background, *size)
    if preview.background:
        picture = OverlayPicture(preview.background, request.bg_align)
        background = backgrounds.cover(picture, request.background, *size)
    compositor = Compositor(background, request.vignette or 0.0)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    with Blender(host.socket_path, settings.frame_timeout, memory_limit(settings.blender_bytes)) as blender:
        blender.open_shot(shot)
        poses = _sheet_poses(spec) if preview.sheet else [(0, _still_pose(request))]
        stills = [Image.fromarray(compositor.over(frame)) for frame in blender.frames(poses)]
    (_arrange(stills) if preview.sheet else stills[0]).save(temporary, "PNG")
    temporary.replace(out)


def _still_pose(request: RenderSettings) -> Pose:
    azimuth = request.rotate_y if "rotate_y" in request.model_fields_set else AZIMUTH
    return Pose(azimuth, radius=request.zoom)


def _sheet_poses(spec: ShotSpec) -> list[tuple[int, Pose]]:
    """Frames evenly spaced over the video, with their numbers; the last one ends it where the path does not loop."""
    last = spec.frames if PATHS[spec.effect].loops else spec.frames - 1
    steps = SHEET_STILLS if PATHS[spec.effect].loops else SHEET_STILLS - 1
    poses = spec.poses()
    return [(number, poses[number]) for number in (step * last // steps for step in range(SHEET_STILLS))]


def _arrange(stills: list[Image.Image]) -> Image.Image:
    """The stills on one picture, in reading order."""
    width, height = stills[0].width + GAP_PIXELS, stills[0].height + GAP_PIXELS
    rows = len(stills) // SHEET_COLUMNS
    sheet = Image.new("RGB", (width * SHEET_COLUMNS - GAP_PIXELS, height * rows - GAP_PIXELS), GAP_COLOUR)
    for index, still in enumerate(stills):
        sheet.paste(still, (index % SHEET_COLUMNS * width, index // SHEET_COLUMNS * height))
    return sheet


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
