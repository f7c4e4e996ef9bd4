"""How long a dataset takes, how much memory, and which share of the time its G-buffer has. Prints one line of JSON.

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
from farm.scene.shot import ShotSetup
from farm.settings import Settings

SAMPLE = Path(__file__).parents[1] / "tests" / "assets" / "product.glb"
EVERY = 10  # of so many views one is drawn a second time, to see what its parts take


class Usage:
    """What this process and those it starts take, looked at twice a second.

    `peak` is the most bytes resident at a time; `processor` the seconds that processors worked, all together.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._seconds: dict[int, float] = {}
        threading.Thread(target=self._look, daemon=True).start()

    @property
    def processor(self) -> float:
        return sum(self._seconds.values())

    def _look(self) -> None:
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


def parts(shot: ShotSetup, numbers: list[int], directions: list[tuple[float, float]]) -> tuple[float, float]:
    """Seconds that some views take to draw, and seconds of them that go into the G-buffer. Runs where bpy may be."""
    from farm.blender import views
    from farm.blender.film import render_to_file
    from farm.blender.frames import FILTER_BORDER
    from farm.scene.camera import crop
    from farm.scene.views import Direction, camera

    whole = recorded = 0.0
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        folder = Path(scratch)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Blender tells much
        opened = views.open_views(shot, folder)
        views.draw_view(opened, 0, Direction(*directions[0]), folder)  # the first one builds what all others share
        for number in numbers:
            where = Direction(*directions[number])
            began = time.monotonic()
            views.draw_view(opened, number, where, folder)
            whole += time.monotonic() - began
            now = camera(where, shot.width, opened.stage.lens.target)
            began = time.monotonic()
            with opened.passes.drawn():
                render_to_file(opened.stage, now, crop(now, opened.stage.points, FILTER_BORDER), folder / "again.exr")
            recorded += time.monotonic() - began
    return whole, recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--quality", default="100x800")
    parser.add_argument("--coverage", default="hemisphere")
    arguments = parser.parse_args()
    asked = {"output": "dataset", "datasetQuality": arguments.quality, "coverage": arguments.coverage}
    request, settings = parse(asked), Settings(engine="cycles")
    usage = Usage()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "dataset.zip"
        began = time.monotonic()
        with local.dataset(arguments.model, request, out, settings) as job:
            for _ in job.steps:
                pass
        seconds, size = time.monotonic() - began, out.stat().st_size
        peak, processor = usage.peak, usage.processor
    print(f"{seconds:.1f} s, of processors {processor:.1f} s, {peak / 1e6:.0f} MB", file=sys.stderr, flush=True)
    spec = dataset("0" * 64, request, settings)
    shot = spec.shot(str(arguments.model.absolute()), "cycles")
    where = [(each.azimuth, each.elevation) for each in spec.directions()]
    with get_context("spawn").Pool(1) as pool:
        whole, recorded = pool.apply(parts, (shot, list(range(0, spec.views, EVERY)), where))
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
