"""Renders the pictures of the scenes: docs/pictures/scene-*.jpg, template-*.jpg and blender_scenes/*.jpg.

Run by `make gallery`, after a change of a built-in template.
"""

import multiprocessing
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from docs.make_gallery import MODEL
from farm import templates
from farm.blender.host_process import BlenderHost
from farm.orders.render_settings import parse
from farm.rendering import template_still
from farm.rendering.template_still import Preview
from farm.settings import Settings

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
SETTINGS = Settings(engine="cycles", samples=16)
PICTURE_SIZE = 640, 360
STILL_SIZE = 480, 270  # of what GET /v1/scenes shows
SCENES = [path.stem for path in sorted(templates.BUILT_IN.glob("*.toml"))]  # not a studio's own
# By the name of the picture: the scene and the client's other settings.
PRODUCTS: dict[str, tuple[str, dict[str, Any]]] = {
    "scene-studio": ("studio", {}),
    "scene-daylight": ("daylight", {"bgColor": "#eef3f7"}),
    "scene-dark": ("dark", {"bgColor": "#101010", "reflector": True}),
    "scene-dark-on-white": ("dark", {}),
    "scene-pedestal": ("pedestal", {}),
}


def main() -> None:
    with tempfile.TemporaryDirectory(dir=SETTINGS.scratch) as name, BlenderHost(Path(name)) as host:
        out = Path(name) / "still.png"

        def draw(preview: Preview, picture: Path, size: tuple[int, int] = PICTURE_SIZE) -> None:
            template_still.draw(host, preview, out, "cycles", SETTINGS)
            Image.open(out).resize(size, Image.Resampling.LANCZOS).save(picture, quality=90)
            print(picture.relative_to(ROOT), flush=True)

        for picture, (scene, settings) in PRODUCTS.items():
            draw(Preview(templates.blend(scene), MODEL, parse(settings)), PICTURES / f"{picture}.jpg")
        for scene in SCENES:
            stand_in = Preview(templates.blend(scene), templates.STAND_IN, parse({}))
            draw(stand_in, PICTURES / f"template-{scene}.jpg")
            draw(replace(stand_in, model=MODEL), templates.BUILT_IN / f"{scene}.jpg", STILL_SIZE)
        changed = Path(shutil.copy(templates.blend("studio"), Path(name) / "changed.blend"))
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # bpy stays out of the process that starts hosts
            pool.apply(move_key_light, (str(changed),))
        draw(Preview(changed, templates.STAND_IN, parse({})), PICTURES / "template-changed.jpg")


def move_key_light(template: str) -> None:
    """Move the key light to the other side and make it warmer, as docs/artists.md does."""
    import bpy

    bpy.ops.wm.open_mainfile(filepath=template)
    key = bpy.data.objects["Key"]
    key.location.x = -key.location.x
    key.rotation_euler.z = -key.rotation_euler.z
    key.data.color = 1.0, 0.72, 0.45
    bpy.ops.wm.save_mainfile()


if __name__ == "__main__":
    main()
