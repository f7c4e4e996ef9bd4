"""Renders docs/gallery: a contact sheet of eight frames for every effect and scene in every aspect.

Run by `make gallery`; `python -m docs.make_gallery NAME ...` renders the sheets of these effects and scenes only.
"""

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
SETTINGS = Settings(scale=0.4, engine="cycles")
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
    (GALLERY / "README.md").write_text(page())


def sheet(host: BlenderHost, render_settings: RenderSettings) -> Image.Image:
    """Eight frames of the video, evenly spaced in time, in reading order."""
    spec = shot("gallery", render_settings, SETTINGS)
    numbers = [round(step * (spec.frames - 1) / (FRAMES - 1)) for step in range(FRAMES)]
    if PATHS[spec.effect].loops:  # the last frame would repeat the first
        numbers = [step * spec.frames // FRAMES for step in range(FRAMES)]
    poses = spec.poses()
    width, height = spec.width + GAP, spec.height + GAP
    picture = Image.new("RGB", (COLUMNS * width + GAP, FRAMES // COLUMNS * height + GAP), (228, 228, 228))
    compositor = Compositor(Image.new("RGB", (spec.width, spec.height), render_settings.background), vignette=0.0)
    with Blender(host.socket_path, SETTINGS.frame_timeout) as blender:
        blender.open_shot(shot_setup(spec, MODEL, "cycles"))
        for position, frame in enumerate(blender.frames((number, poses[number]) for number in numbers)):
            still = Image.fromarray(compositor.over(frame))
            picture.paste(still, (GAP + position % COLUMNS * width, GAP + position // COLUMNS * height))
    return picture


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
