"""Measures the cost of more backgrounds: a batch of eight against one render, and the same shot from the cache."""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.orders import plan
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import RenderSettings
from farm.processes.scratch import own_scratch
from farm.rendering.frame_cache import FrameCache
from farm.rendering.production import draw_frames, produce, shot_setup
from farm.settings import Settings
from farm.video.run import executable
from farm.video.variant import Files, Variant

COLOURS = ["#ffffff", "#000000", "#ff8800", "#0088ff", "#00aa44", "#aa0044", "#888888", "#f0e8d8"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=Path("tests/assets/product.glb"))
    parser.add_argument("--frames", type=int, default=30)
    arguments = parser.parse_args()
    settings = Settings()
    request = RenderSettings(length=max(arguments.frames / settings.fps, 3))
    spec = plan.shot("a" * 64, request, settings)
    numbers = range(arguments.frames)
    with tempfile.TemporaryDirectory() as cached:
        cache = FrameCache(Path(cached), 10**12, spec, "cycles")
        one = seconds(arguments.model, spec, numbers, COLOURS[:1], settings, None)
        eight = seconds(arguments.model, spec, numbers, COLOURS, settings, cache)
        later = seconds(arguments.model, spec, numbers, COLOURS[1:2], settings, cache)
        size = sum(file.stat().st_size for file in Path(cached).rglob("*") if file.is_file())
    result = {
        "model": arguments.model.name,
        "size": f"{spec.width}x{spec.height}",
        "frames": arguments.frames,
        "one render, s": round(one, 2),
        "batch of eight backgrounds, frames cached, s": round(eight, 2),
        "the same shot later, s": round(later, 2),
        "batch to one": round(eight / one, 2),
        "later to one": round(later / one, 3),
        "cached frame, kB": round(size / arguments.frames / 1000),
        "machine": f"{os.cpu_count()} cores, no GPU used",
    }
    print(json.dumps(result, indent=2))


def seconds(
    model: Path, spec: ShotSpec, numbers: range, colours: list[str], settings: Settings, cache: FrameCache | None
) -> float:
    """Wall time from opening the shot to the finished files of all colours, with a running Blender host."""
    with own_scratch(settings.scratch) as scratch, BlenderHost(scratch) as host:
        began = time.monotonic()
        variants = []
        for number, colour in enumerate(colours):
            files = Files(scratch / str(number), spec.tier)
            files.folder.mkdir()
            request = RenderSettings(bg_color=colour)
            variants.append(Variant(spec, request, None, files, executable(settings.ffmpeg)))
        with Blender(host.socket_path, settings.frame_timeout) as blender:
            shot = shot_setup(spec, model.absolute(), "cycles")
            for _ in produce(draw_frames(blender, shot, spec, numbers, cache, scratch), variants):
                pass
        return time.monotonic() - began


if __name__ == "__main__":
    main()
