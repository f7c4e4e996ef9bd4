"""Making a render's files: draw, composite, encode. The same for the farm's workers and for `farm render`."""

from collections.abc import Iterator
from pathlib import Path

from farm import templates
from farm.blender.client import Blender
from farm.plan import ShotSpec
from farm.shot import Engine, Shot
from farm.tiers import TIERS
from farm.video.variant import Variant


def shot_to_draw(spec: ShotSpec, model: Path, engine: Engine) -> Shot:
    """What the Blender host is told of a shot."""
    template = templates.load(spec.template)
    return Shot(
        model_path=str(model),
        template=str(templates.blend(spec.template)),
        width=spec.width,
        height=spec.height,
        samples=spec.samples or template.samples[spec.tier],
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
    )


def produce(blender: Blender, shot: Shot, spec: ShotSpec, variant: Variant) -> Iterator[int]:
    """Draw the shot and write all of the render's files, yielding the number of frames done after each.

    Blender draws the next frame while this one is composited and encoded. Raises RenderFailed of one kind or another.
    """
    blender.open_shot(shot)
    with variant:
        for done, frame in enumerate(blender.frames(enumerate(spec.poses())), start=1):
            variant.write(frame)
            yield done
