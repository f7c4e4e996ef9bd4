"""Renders docs/gallery: a contact sheet of eight frames for every effect and scene in every aspect.

Beside the file of each built-in effect it renders a small moving picture, which the portal's order form shows. Run by
`make gallery`; `python -m docs.make_gallery NAME ...` renders those of these effects and scenes only.
"""

import inspect
import sys
import tempfile
from pathlib import Path

from PIL import Image

from camera_paths import PATHS
from farm import templates
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.orders.plan import ASPECT_RATIOS, shot
from farm.orders.render_settings import RenderSettings, parse
from farm.rendering.production import shot_setup
from farm.settings import Settings
from farm.video.composite import Compositor

GALLERY = Path(__file__).parent / "gallery"
MODEL = Path(__file__).parents[1] / "tests" / "assets" / "product.glb"
FRAMES, COLUMNS, GAP = 8, 4, 8
MOVING_FRAMES, FRAME_MILLISECONDS, PAUSE_MILLISECONDS = 36, 80, 1000
WEBP_QUALITY = 50
SETTINGS = Settings(scale=0.4, engine="cycles")
MOVING_SETTINGS = Settings(scale=256 / 960, engine="cycles")
SCENES = [name for name in templates.names() if name != RenderSettings().scene]  # the effects show the default scene
REQUESTS = {effect: {"effect": effect} for effect in PATHS} | {
    scene: {"effect": "turntable", "scene": scene} for scene in SCENES
}


def main() -> None:
    GALLERY.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SETTINGS.scratch) as folder, BlenderHost(Path(folder)) as host:
        for subject in sys.argv[1:] or REQUESTS:
            for aspect in ASPECT_RATIOS:
                name = file_name(subject, aspect)
                sheet(host, parse(REQUESTS[subject] | {"aspect": aspect})).save(GALLERY / name, quality=88)
                print(GALLERY.name + "/" + name, flush=True)
            if subject in PATHS:
                print(moving(host, subject), flush=True)
    (GALLERY / "README.md").write_text(page())


def sheet(host: BlenderHost, render_settings: RenderSettings) -> Image.Image:
    """Eight frames of the video, evenly spaced in time, in reading order."""
    pictures = frames(host, render_settings, SETTINGS, FRAMES)
    width, height = pictures[0].width + GAP, pictures[0].height + GAP
    picture = Image.new("RGB", (COLUMNS * width + GAP, FRAMES // COLUMNS * height + GAP), (228, 228, 228))
    for position, still in enumerate(pictures):
        picture.paste(still, (GAP + position % COLUMNS * width, GAP + position // COLUMNS * height))
    return picture


def moving(host: BlenderHost, effect: str) -> Path:
    """Render an effect as a small animation that repeats, beside the effect's file: its path."""
    path = PATHS[effect]
    file = Path(inspect.getfile(path.pose)).with_suffix(".webp")
    first, *others = frames(host, parse(REQUESTS[effect]), MOVING_SETTINGS, MOVING_FRAMES)
    durations = [FRAME_MILLISECONDS] * MOVING_FRAMES
    if not path.loops:
        durations[-1] = PAUSE_MILLISECONDS
    first.save(file, save_all=True, append_images=others, duration=durations, loop=0, quality=WEBP_QUALITY, method=6)
    return file


def frames(host: BlenderHost, render_settings: RenderSettings, settings: Settings, number: int) -> list[Image.Image]:
    """Some frames of the video, evenly spaced in time."""
    spec = shot("gallery", render_settings, settings)
    numbers = [round(step * (spec.frames - 1) / (number - 1)) for step in range(number)]
    if PATHS[spec.effect].loops:  # the last frame would repeat the first
        numbers = [step * spec.frames // number for step in range(number)]
    poses = spec.poses()
    compositor = Compositor(Image.new("RGB", (spec.width, spec.height), render_settings.background), vignette=0.0)
    with Blender(host.socket_path, settings.frame_timeout) as blender:
        blender.open_shot(shot_setup(spec, MODEL, "cycles"))
        return [Image.fromarray(compositor.over(frame)) for frame in blender.frames((at, poses[at]) for at in numbers)]


def file_name(subject: str, aspect: str) -> str:
    """The name of the sheet of an effect or a scene."""
    return f"{subject}-{aspect.replace(':', 'x')}.jpg"


def page() -> str:
    """The gallery's page in Markdown."""
    lines = [
        "# Gallery",
        "",
        "Eight frames of every effect in the scene `studio`, and of every other scene in the effect `turntable`, in",
        "every aspect; made by `make gallery` from the sample product.",
        "",
    ]
    for subject in REQUESTS:
        lines += [f"## {subject}", ""]
        lines += [f"![{subject}, {aspect}]({file_name(subject, aspect)})" for aspect in ASPECT_RATIOS]
        lines += [""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
