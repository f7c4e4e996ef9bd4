"""Measures the time and memory of a dataset, and its G-buffer's share of the time. Prints one line of JSON.

usage: python -m benchmarks.dataset [MODEL] [--quality 100x800] [--coverage hemisphere]
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import psutil

from farm.orders.dataset_plan import dataset
from farm.orders.render_settings import parse
from farm.rendering import local
from farm.scene.camera import Array
from farm.scene.shot import ShotSetup
from farm.settings import Settings

SAMPLE = Path(__file__).parents[1] / "tests" / "assets" / "product.glb"
SAMPLED_EVERY = 10  # views, one is drawn a second time to time its parts


class Usage:
    """Memory and CPU time of this process and its children, sampled twice a second.

    `peak` is the maximum of resident bytes; `processor` the total CPU time in seconds.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._seconds: dict[int, float] = {}
        threading.Thread(target=self._sample, daemon=True).start()

    @property
    def processor(self) -> float:
        return sum(self._seconds.values())

    def _sample(self) -> None:
        own = psutil.Process()
        while True:
            resident = 0
            for process in [own, *own.children(recursive=True)]:
                try:
                    resident += process.memory_info().rss
                    times = process.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                self._seconds[process.pid] = times.user + times.system
            self.peak = max(self.peak, resident)
            time.sleep(0.5)


def parts(shot: ShotSetup, numbers: list[int], poses: list[Array]) -> tuple[float, float]:
    """Seconds to draw these views, and the part of it spent on G-buffers. Runs in a process that may import bpy."""
    from farm.blender import views
    from farm.blender.film import render_to_file
    from farm.blender.frames import FILTER_BORDER
    from farm.scene.camera import crop
    from farm.scene.views import camera

    whole = recorded = 0.0
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        folder = Path(scratch)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # discard Blender's output
        opened = views.open_views(shot, folder)
        views.draw_view(opened, 0, poses[0], folder)  # the first view builds the shared data
        for number in numbers:
            began = time.monotonic()
            views.draw_view(opened, number, poses[number], folder)
            whole += time.monotonic() - began
            view = camera(poses[number], shot.width, opened.stage.sphere_height)
            began = time.monotonic()
            with opened.passes.drawn():
                render_to_file(opened.stage, view, crop(view, opened.stage.points, FILTER_BORDER), folder / "again.exr")
            recorded += time.monotonic() - began
    return whole, recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--quality", default="100x800")
    parser.add_argument("--coverage", default="hemisphere")
    arguments = parser.parse_args()
    fields = {"output": "dataset", "datasetQuality": arguments.quality, "coverage": arguments.coverage}
    request, settings = parse(fields), Settings(engine="cycles")
    usage = Usage()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "dataset.zip"
        began = time.monotonic()
        with local.dataset(arguments.model, request, out, settings) as job:
            for _ in job.steps:
                pass
        seconds, size = time.monotonic() - began, out.stat().st_size
        peak, processor = usage.peak, usage.processor
    print(f"{seconds:.1f} s, {processor:.1f} s of CPU time, {peak / 1e6:.0f} MB", file=sys.stderr, flush=True)
    spec = dataset("0" * 64, request, settings)
    shot = spec.shot(str(arguments.model.absolute()), "cycles")
    with get_context("spawn").Pool(1) as pool:
        whole, recorded = pool.apply(parts, (shot, list(range(0, spec.views, SAMPLED_EVERY)), spec.poses()))
    found = {
        "model": arguments.model.name,
        "tier": spec.tier,
        "coverage": spec.coverage,
        "samples": spec.samples,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "seconds_a_view": round(seconds / spec.views, 2),
        "g_buffer_share": round(recorded / whole, 3),
        "peak_megabytes": round(peak / 1e6),
        "zip_megabytes": round(size / 1e6),
        "processors": os.cpu_count(),
        "machine": platform.machine(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
