"""Making a render's files: draw, composite, encode. The same for the farm's workers and for `farm render`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from farm import templates
from farm.blender.client import Blender
from farm.plan import ShotSpec
from farm.render_settings import RenderSettings
from farm.shot import Engine, Shot
from farm.video import graphs
from farm.video.composite import Compositor
from farm.video.run import Encoder

POSTER_LONG_SIDE = 480


@dataclass(frozen=True)
class Files:
    """A render's finished files. The poster is there from the first frame on, the videos at the end."""

    folder: Path

    @property
    def video(self) -> Path:
        return self.folder / "video.mp4"

    @property
    def thumb(self) -> Path:
        return self.folder / "thumb.mp4"

    @property
    def poster(self) -> Path:
        return self.folder / "poster.png"

    @property
    def poster_small(self) -> Path:
        return self.folder / "poster-small.png"


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
    )


def produce(
    blender: Blender, shot: Shot, spec: ShotSpec, wish: RenderSettings, files: Files, ffmpeg: Path
) -> Iterator[int]:
    """Draw the shot and write all of the render's files, yielding the number of frames done after each.

    Blender draws the next frame while this one is composited and encoded. Raises RenderFailed of one kind or another.
    """
    blender.open_shot(shot)
    compositor = Compositor(spec.width, spec.height, wish.background)
    arguments = graphs.video_and_thumb(
        width=spec.width, height=spec.height, fps=spec.fps, video=files.video, thumb=files.thumb
    )
    with Encoder(ffmpeg, arguments) as encoder:
        for done, frame in enumerate(blender.frames(enumerate(spec.poses())), start=1):
            picture = compositor.over(frame)
            if done == 1:
                save_posters(Image.fromarray(picture), files)
            encoder.write(picture)
            yield done


def save_posters(picture: Image.Image, files: Files) -> None:
    """The first frame as a full PNG and as a small one for previews."""
    picture.save(files.poster)
    small = picture.copy()
    small.thumbnail((POSTER_LONG_SIDE, POSTER_LONG_SIDE), Image.Resampling.LANCZOS)
    small.save(files.poster_small, optimize=True)
