"""Measures the engines of this machine: how long each takes for a frame of every tier, and how good its picture is.

Takes LIMIT_SECONDS at most, on a small bundled model in the built-in studio, without its shadow, which Cycles bakes on
the CPU for all engines. Each engine draws with its own samples per tier. Pictures grow from one size to the next until
a frame would take longer than MAX_FRAME_SECONDS, or the engine's share of the time is over; the seconds of larger ones
follow from those (verdict.frame_seconds). The quality is that of the smallest size, whose picture has more edges for
its pixels than that of any tier.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import structlog
from numpy.typing import NDArray

from camera_paths import Pose
from farm import templates
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost, memory_limit
from farm.errors import BlenderCrashed, BlenderTimeout, OverBudget, RenderFailed
from farm.orders import plan
from farm.orders.render_settings import parse
from farm.rendering.production import shot_setup
from farm.rendering.verdict import MIN_LIKENESS_DB, Candidate, Verdict, decide, frame_seconds
from farm.scene.shot import Engine, Frame, ShotSetup
from farm.settings import Settings
from farm.tiers import TIERS

log = structlog.get_logger()

Picture = NDArray[np.float64]

LIMIT_SECONDS = 60.0
REFERENCE_SECONDS = 30.0  # of these at most for the first picture, with which all are compared
MAX_FRAME_SECONDS = 2.0
COMPILING_SECONDS = 300.0  # of CUDA's kernels for a card that bpy has none for, such as an H100
REFERENCE_SAMPLES = 64
HEIGHTS = (180, 360, 540, 1080, 2160)  # of 16:9 pictures
POSES = [Pose(azimuth=30.0), Pose(azimuth=150.0), Pose(azimuth=270.0)]  # the first frame compiles, and is not timed
MAX_DB = 99.0  # of equal pictures


def calibrate(
    host: BlenderHost, settings: Settings, engines: Sequence[Engine], absent: Mapping[Engine, str]
) -> Verdict:
    """Measure Cycles on the CPU and these `engines` in a host that is not started; `absent` tells why others are out.

    The host is killed when an engine takes too long, and at the end.
    """
    deadline, longest = time.monotonic() + LIMIT_SECONDS, min(REFERENCE_SECONDS, LIMIT_SECONDS)
    out = [Candidate(engine, reason=reason) for engine, reason in absent.items()]
    waiting: list[Engine] = [*engines, "cycles"]
    try:
        try:
            truth = _reference(host, settings, "cycles", longest)
        except RenderFailed as error:
            reason = f"Cycles drew no picture to compare with on the CPU: {_why(error, longest)}"
            return decide([*out, *(Candidate(engine, reason=reason) for engine in waiting)], TIERS)
        measured = []
        for number, engine in enumerate(waiting):
            seconds = max(deadline - time.monotonic(), 0.0) / (len(waiting) - number)
            measured.append(_candidate(host, settings, engine, truth, seconds))
            found = measured[-1]
            log.info("engine_measured", engine=engine, seconds=found.seconds.get("share"), reason=found.reason)
        return decide([*out, *measured], TIERS)
    finally:
        host.kill()


def compile_first(host: BlenderHost, settings: Settings, engines: Sequence[Engine]) -> None:
    """Let these engines' drivers compile their shaders and kernels, for COMPILING_SECONDS each, and keep them.

    A calibration does not wait that long, and what was compiled in a host that is killed is lost.
    """
    for engine in engines:
        try:
            with _connected(host, settings, COMPILING_SECONDS) as blender:
                blender.open_shot(_shot(settings, engine, HEIGHTS[0], 1))
                for _ in blender.frames([(0, POSES[0])]):
                    pass
        except RenderFailed:
            host.kill()


def _candidate(host: BlenderHost, settings: Settings, engine: Engine, truth: Picture, seconds: float) -> Candidate:
    """The engine as measured within `seconds`."""
    deadline = time.monotonic() + seconds
    try:
        own = truth
        if engine == "eevee":
            own = _reference(host, settings, engine, seconds)
            if (likeness := psnr(own, truth)) < MIN_LIKENESS_DB:
                reason = f"its picture is not like that of Cycles: {likeness:.1f} dB, below {MIN_LIKENESS_DB:.0f}"
                return Candidate(engine, reason=reason)
        return _measured(host, settings, engine, own, deadline - time.monotonic())
    except RenderFailed as error:
        host.kill()
        return Candidate(engine, reason=_why(error, seconds))


def _measured(host: BlenderHost, settings: Settings, engine: Engine, reference: Picture, seconds: float) -> Candidate:
    """What can be measured within `seconds`. Raises RenderFailed if that is not even the smallest size."""
    samples = {tier: _samples(settings, engine, tier) for tier in TIERS}
    sizes = {tier: plan.frame_size(tier, "16:9", settings.scale) for tier in TIERS}
    took: dict[int, dict[int, float]] = {number: {} for number in samples.values()}
    similar: dict[int, float] = {}
    with _connected(host, settings, seconds) as blender:
        try:
            for height in HEIGHTS:
                for number, times in took.items():
                    largest = max(sizes[tier][1] for tier in TIERS if samples[tier] == number)
                    shot = _shot(settings, engine, height, number)
                    pixels = shot.width * shot.height
                    if times and (height > largest or frame_seconds(times, pixels) > MAX_FRAME_SECONDS):
                        continue
                    picture, times[pixels] = _drawn(blender, shot)
                    if number not in similar:
                        similar[number] = psnr(picture, reference)
        except (BlenderTimeout, OverBudget):
            if not all(took.values()):
                raise
            host.kill()  # it still draws
    return Candidate(
        engine,
        {tier: frame_seconds(took[samples[tier]], width * height) for tier, (width, height) in sizes.items()},
        {tier: similar[number] for tier, number in samples.items()},
    )


def _drawn(blender: Blender, shot: ShotSetup) -> tuple[Picture, float]:
    """The first picture of a shot, and the seconds of the quickest frame after it."""
    blender.open_shot(shot)
    pictures: list[Picture] = []
    times = []
    for frame in blender.frames(enumerate(POSES)):  # the next one is being drawn already
        times.append(time.monotonic())
        if not pictures:
            pictures.append(_over_white(frame))
    return pictures[0], min(later - earlier for earlier, later in pairwise(times))


def _reference(host: BlenderHost, settings: Settings, engine: Engine, seconds: float) -> Picture:
    """The smallest picture with many samples. Raises RenderFailed, the host being killed or dead, after `seconds`."""
    try:
        with _connected(host, settings, seconds) as blender:
            blender.open_shot(_shot(settings, engine, HEIGHTS[0], REFERENCE_SAMPLES))
            [picture] = [_over_white(frame) for frame in blender.frames([(0, POSES[0])])]
            return picture
    except RenderFailed:
        host.kill()
        raise


def _connected(host: BlenderHost, settings: Settings, seconds: float) -> Blender:
    """A connection to the host, started if need be, that ends with an error after `seconds`."""
    began = time.monotonic()
    if host.pid is None:
        host.start(seconds)
    left = seconds - (time.monotonic() - began)
    if left <= 0:
        raise BlenderTimeout
    blender = Blender(host.socket_path, seconds, memory_limit(settings.blender_bytes))
    blender.limit(left, frames=len(POSES))
    return blender


def _shot(settings: Settings, engine: Engine, height: int, samples: int) -> ShotSetup:
    spec = replace(plan.shot("", parse({"length": 3, "shadows": False}), settings), samples=samples)
    spec = replace(spec, width=plan.even(height * 16 / 9), height=height)
    # The built-in template: a studio's own of the same name may be slow, or at fault.
    template = templates.BUILT_IN / f"{spec.template}.blend"
    return replace(shot_setup(spec, templates.STAND_IN, engine), template=str(template))


def _samples(settings: Settings, engine: Engine, tier: str) -> int:
    template = templates.read_toml(templates.BUILT_IN / "studio.toml")
    return settings.samples or template.samples_by(engine, tier)


def _over_white(frame: Frame) -> Picture:
    """The subject over white: (height, width, 3), 0 to 255."""
    layer = frame.subject
    straight = np.fromfile(layer.path, np.uint8).reshape(layer.height, layer.width, 4).astype(np.float64)
    colours, alpha = straight[..., :3], straight[..., 3:] / 255
    return np.asarray(colours * alpha + 255 * (1 - alpha), np.float64)


def psnr(one: Picture, other: Picture) -> float:
    """Peak signal-to-noise ratio in dB of values from 0 to 255; 0 for pictures of different sizes."""
    if one.shape != other.shape:
        return 0.0
    error = float(np.mean((one - other) ** 2))
    return min(10 * float(np.log10(255**2 / error)), MAX_DB) if error else MAX_DB


def _why(error: RenderFailed, seconds: float) -> str:
    if isinstance(error, BlenderTimeout | OverBudget):
        return f"not measured within {seconds:.0f} s"
    return "Blender crashed" if isinstance(error, BlenderCrashed) else error.message
