"""Compares the farm's speed with a plain loop of bpy.ops.render.render on the same scene, in one run.

Prints one line of JSON. usage: python -m benchmarks.share_render [MODEL] [--frames N]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.orders import plan
from farm.orders.render_settings import RenderSettings
from farm.processes.scratch import own_scratch
from farm.rendering.production import draw_frames, produce, shot_setup
from farm.scene.shot import ShotSetup
from farm.settings import Settings
from farm.video.run import executable
from farm.video.variant import Files, Variant

SAMPLE = Path(__file__).parents[1] / "tests" / "assets" / "product.glb"

# The plain loop: the same template, model, camera path, size and samples; full frames, one call and one PNG each, and
# the ground as Blender's shadow catcher, the standard way to get a shadow on transparent film.
PLAIN = """
import json, sys, time
from pathlib import Path
import bpy
from camera_paths import Pose
from farm.blender import film, shadows, stage
from farm.scene.camera import view
from farm.scene.shot import ShotSetup
shot, poses, catcher, folder = json.loads(sys.argv[1])
shot = ShotSetup(**shot)
scene_stage = stage.set_up(shot)
film.prepare(scene_stage, shot)
for setting, value in shadows.DENOISER.items():
    setattr(bpy.context.scene.cycles, setting, value)
scene_stage.ground.hide_render, scene_stage.ground.is_shadow_catcher = not catcher, True
render = bpy.context.scene.render
render.use_border = render.use_crop_to_border = False
render.image_settings.file_format = "PNG"
def draw_frame(number, azimuth):
    film.place_camera(scene_stage.camera, view(scene_stage.lens, azimuth, 1.0))
    render.filepath = f"{folder}/{number}.png"
    bpy.ops.render.render(write_still=True)
began = time.monotonic()
for number, azimuth in enumerate(poses):
    draw_frame(number, azimuth)
print("seconds", time.monotonic() - began)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--frames", type=int, default=12)
    arguments = parser.parse_args()
    settings = Settings(engine="cycles")
    request = RenderSettings()
    spec = replace(plan.shot("benchmark", request, settings), frames=arguments.frames)
    shot = shot_setup(spec, arguments.model.absolute(), "cycles")
    poses = [pose.azimuth for pose in spec.poses()]

    def plain(*, catcher: bool) -> float:
        with tempfile.TemporaryDirectory(dir=settings.scratch) as folder:
            work = json.dumps([asdict(shot), poses, catcher, folder])
            done = subprocess.run([sys.executable, "-c", PLAIN, work], capture_output=True, text=True, check=True)
            return float(done.stdout.rsplit("seconds", 1)[1])

    farm = farm_seconds(shot, spec, request, settings)
    bare, full = plain(catcher=False), plain(catcher=True)
    count = arguments.frames
    print(
        json.dumps(
            {
                "model": arguments.model.name,
                "size": f"{spec.width}x{spec.height}",
                "samples": shot.samples,
                "frames": count,
                "farm frames/s, shadow, MP4, thumb and posters included": round(count / farm, 3),
                "plain loop frames/s, no shadow, PNG": round(count / bare, 3),
                "plain loop frames/s, shadow catcher, PNG": round(count / full, 3),
                "farm to plain loop without shadow": round(bare / farm, 2),
                "farm to plain loop with shadow": round(full / farm, 2),
                "machine": f"{os.cpu_count()} x {platform.machine()}, {platform.system()}, no GPU used",
            },
            indent=2,
        )
    )


def farm_seconds(shot: ShotSetup, spec: plan.ShotSpec, request: RenderSettings, settings: Settings) -> float:
    """Seconds for the whole production: opening the shot, shadow, drawing, compositing, encoding."""
    with own_scratch(settings.scratch) as scratch:
        host = BlenderHost(scratch)
        host.start()
        try:
            with Blender(host.socket_path, settings.frame_timeout) as blender:
                began = time.monotonic()
                variant = Variant(spec, request, None, Files(scratch, spec.tier), executable(settings.ffmpeg))
                for _ in produce(draw_frames(blender, shot, spec, range(spec.frames)), [variant]):
                    pass
                return time.monotonic() - began
        finally:
            host.stop()


if __name__ == "__main__":
    main()
