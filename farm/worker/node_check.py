"""The check of a node: it draws and encodes a model that is known to be good, in a few pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog
from PIL import Image

from farm import templates
from farm.blender.client import Blender
from farm.blender.host_process import memory_limit
from farm.db.session import Database
from farm.errors import FarmError, RenderFailed, reason_of
from farm.nodes import quarantine
from farm.orders import plan
from farm.orders.render_settings import parse
from farm.processes.scratch import work_folder
from farm.rendering.production import draw_frames, produce, shot_setup
from farm.video.run import executable
from farm.video.variant import Files, Variant
from farm.worker.context import WorkerContext

log = structlog.get_logger()

REQUEST = {"length": 3, "bgColor": "#ffffff"}
WIDTH, HEIGHT, FRAMES, SAMPLES = 64, 36, 2, 4
TIMEOUT_SECONDS = 120.0  # for one response: the first frame on a GPU compiles shaders
MIN_WHITE, MAX_SUBJECT = 240, 200  # of 255: the darkest background, and the brightest that the subject's darkest may be


def check(context: WorkerContext, database: Database) -> bool:
    """Check this node if that is due. False if it may not work afterwards."""
    with database.write() as db:
        if not quarantine.begin_check(db, context.name):
            return True
    error = None
    try:
        with work_folder(context.scratch) as scratch:
            draw_known_model(context, scratch)
    except Exception as problem:
        log.warning("node_check_failed", error=reason_of(problem), exc_info=not isinstance(problem, FarmError))
        error = str(problem) or type(problem).__name__
    with database.write() as db:
        quarantine.end_check(db, context.name, error)
    return error is None


def draw_known_model(context: WorkerContext, scratch: Path) -> None:
    """Raises RenderFailed, or OSError, when this node does not draw or encode the model as it should."""
    request = parse(REQUEST)
    spec = plan.shot("", request, context.settings, preview=True)
    spec = replace(spec, width=WIDTH, height=HEIGHT, frames=FRAMES, samples=SAMPLES)
    files = Files(scratch, spec.tier)
    variant = Variant(spec, request, None, files, executable(context.settings.ffmpeg))
    # The built-in template: a studio's own of the same name may be at fault itself.
    template = templates.BUILT_IN / f"{spec.template}.blend"
    shot = replace(shot_setup(spec, templates.STAND_IN, context.engine), template=str(template))
    limit = memory_limit(context.settings.blender_bytes)
    with Blender(context.blender_socket, TIMEOUT_SECONDS, limit) as blender:
        for _ in produce(draw_frames(blender, shot, spec, range(FRAMES)), [variant]):
            pass
    picture = np.asarray(Image.open(files.posters["poster-full"]).convert("L"))
    if picture[0, 0] < MIN_WHITE or picture.min() > MAX_SUBJECT:
        raise RenderFailed("The test model is not seen as it should be")
