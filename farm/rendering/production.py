"""Produce a render's files: draw, composite, encode. Shared by the farm's workers and `farm render`."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from farm import templates
from farm.blender.client import Blender
from farm.orders.plan import ShotSpec
from farm.rendering.frame_cache import FrameCache, layers
from farm.scene.shot import Engine, Frame, ShotSetup
from farm.tiers import TIERS
from farm.video.variant import Variant


def shot_setup(spec: ShotSpec, model: Path, engine: Engine) -> ShotSetup:
    """The Blender host's settings for a shot."""
    template = templates.load(spec.template)
    return ShotSetup(
        model_path=str(model),
        template=str(templates.blend(spec.template)),
        width=spec.width,
        height=spec.height,
        samples=spec.samples or template.samples_by(engine, spec.tier),
        engine=engine,
        shadows=spec.shadows,
        reflector=spec.reflector,
        animation=spec.animation,
        animation_speed=spec.animation_speed,
        fps=spec.fps,
        tilt_x=spec.tilt_x,
        pan_x=spec.pan_x,
        roll_z=spec.roll_z,
        bits=TIERS[spec.tier].bits,
        draft=spec.tier == "preview",
        path=tuple((pose.azimuth, pose.radius, pose.scale) for pose in spec.fit_path()),
    )


def draw_frames(
    blender: Blender,
    shot: ShotSetup,
    spec: ShotSpec,
    numbers: range,
    cache: FrameCache | None = None,
    scratch: Path | None = None,
) -> Iterator[Frame]:
    """Yield the frames with these numbers in order, from the cache if it holds them, else drawn and added to it.

    Blender draws the next frame while the caller works on this one. A frame's files are removed when the caller
    requests the next. `scratch` is a folder for frames from the cache. Raises RenderFailed and its subclasses.
    """
    poses = spec.poses()
    missing = {number: poses[number] for number in numbers if not (cache and cache.holds(number))}
    if missing:
        blender.open_shot(shot)
    drawn = blender.frames(missing.items())
    for number in numbers:
        if not cache or number in missing:
            frame = next(drawn)
            if cache:
                cache.store(frame)
            yield frame
        else:
            assert scratch, "frames from a cache need a folder"
            frame = cache.load(number, scratch)
            yield frame
            for layer in layers(frame):
                Path(layer.path).unlink()
    if cache and missing:
        cache.evict()


def produce(frames: Iterable[Frame], variants: Sequence[Variant]) -> Iterator[int]:
    """Write every frame to all variants in parallel, yielding the number of finished frames after each.

    Raises RenderFailed and its subclasses.
    """
    with ExitStack() as stack:
        for variant in variants:
            stack.enter_context(variant)
        threads = stack.enter_context(ThreadPoolExecutor(len(variants)))
        for done, frame in enumerate(frames, start=1):
            list(threads.map(lambda variant, frame=frame: variant.write(frame), variants))
            yield done
