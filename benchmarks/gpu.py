"""What this machine's GPU does: each engine at each tier, several hosts on it, and its video encoder beside x264.

Prints a line of JSON for each figure, and writes all of them to FOLDER/<card>.json. Needs no database and no Redis.
usage: python -m benchmarks.gpu [--engines eevee cycles-optix ...] [--tiers share standard 4k pro] [--hosts 1 2 4]
    [--frames 12] [--seconds 20] [--scale 1] [--out FOLDER]

Seconds per frame are Blender's, without compositing and encoding; `benchmarks.hosts` measures whole videos.
"""

import argparse
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import encoders
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.errors import FarmError
from farm.orders import plan
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import parse
from farm.processes import sandbox
from farm.rendering import engine
from farm.rendering.engine import Devices
from farm.rendering.production import shot_setup
from farm.scene.shot import Engine
from farm.settings import Settings
from farm.video.backgrounds import plain
from farm.video.composite import Compositor

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "tests" / "assets" / "product.glb"
OPENING_SECONDS = 120.0  # shaders and kernels are compiled first
FIXED = 64, 36  # pixels of a frame whose time is all fixed costs
ENCODED_FRAMES = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="*", help="default: all that can draw here, and Cycles on the CPU")
    parser.add_argument("--tiers", nargs="*", default=["share", "standard", "4k", "pro"])
    parser.add_argument("--hosts", nargs="*", type=int, default=[1, 2, 4])
    parser.add_argument("--frames", type=int, default=12, help="of each figure at most, the first one not counted")
    parser.add_argument("--seconds", type=float, default=20.0, help="for the frames of one figure")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    settings = Settings(scale=arguments.scale, engine="auto")
    with tempfile.TemporaryDirectory(dir=settings.scratch) as name:
        devices = engine.probe(Path(name), sandbox.of_blender(settings))
        report = Report(devices)
        verdict = engine.measure(settings, Path(name), devices, compiling_first=True)
        report.add("calibration", chosen=verdict.engine, candidates=verdict.candidates_json())
        for each in arguments.engines or [*devices.engines, "cycles"]:
            report.add_table(settings, each, arguments.tiers, arguments.frames, arguments.seconds)
        for number in arguments.hosts:
            took = on_hosts(settings, verdict.engine, number, arguments.frames)
            report.add("hosts", engine=verdict.engine, tier="standard", hosts=number, frames_per_second=took)
        report.add("encoders", rows=encoders.compare(pictures(settings, verdict.engine), settings))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{report.card}.json").write_text(json.dumps(report.lines, indent=1) + "\n")


class Report:
    """The figures so far, each printed at once: a run that is cut off has shown them."""

    def __init__(self, devices: Devices) -> None:
        self.lines: list[dict[str, object]] = []
        self.card = re.sub("[^a-z0-9]+", "-", (devices.name or f"{os.cpu_count()}cores").lower()).strip("-")
        self.add("machine", gpu=devices.name, driver=devices.key.driver, cores=os.cpu_count(), bpy=devices.key.bpy)

    def add(self, what: str, **figures: object) -> None:
        self.lines.append({"what": what, **figures})
        print(json.dumps(self.lines[-1]), flush=True)

    def add_table(self, settings: Settings, by: Engine, tiers: Sequence[str], frames: int, seconds: float) -> None:
        specs = {tier: spec_of(tier, settings) for tier in tiers}
        specs["fixed costs"] = replace(spec_of("share", settings), width=FIXED[0], height=FIXED[1])
        for tier, spec in specs.items():
            try:
                took, samples = drawn(settings, spec, by, frames, seconds)
            except FarmError as error:
                self.add("engine", engine=by, tier=tier, error=error.message)
            else:
                size = f"{spec.width}x{spec.height}"
                rate = round(1 / took, 2)
                figures = {"samples": samples, "seconds": round(took, 3), "frames_per_second": rate}
                self.add("engine", engine=by, tier=tier, size=size, **figures)


def spec_of(tier: str, settings: Settings) -> ShotSpec:
    return plan.shot("benchmark", parse({"quality": tier, "length": 3}), settings)


def drawn(settings: Settings, spec: ShotSpec, by: Engine, frames: int, seconds: float) -> tuple[float, int]:
    """Seconds per frame after the first one, and the samples per pixel, in a host of its own. Raises FarmError."""
    shot = shot_setup(spec, MODEL, by)
    times: list[float] = []
    with tempfile.TemporaryDirectory(dir=settings.scratch) as name:
        host = BlenderHost(Path(name), sandbox.of_blender(settings))
        try:
            host.start()
            with Blender(host.socket_path, OPENING_SECONDS + seconds) as blender:
                blender.open_shot(shot)
                for _ in blender.frames(enumerate(spec.poses()[: frames + 1])):
                    times.append(time.monotonic())
                    if len(times) > 1 and times[-1] - times[0] > seconds:
                        break
        finally:
            host.kill()
    return (times[-1] - times[0]) / (len(times) - 1), shot.samples


def on_hosts(settings: Settings, by: Engine, number: int, frames: int) -> float:
    """Frames per second of a standard video that this many hosts draw together, each its own frames."""
    spec = spec_of("standard", settings)
    barrier = threading.Barrier(number)
    spans: list[tuple[float, float]] = []

    def draw() -> None:
        with (
            tempfile.TemporaryDirectory(dir=settings.scratch) as name,
            BlenderHost(Path(name), sandbox.of_blender(settings)) as host,
            Blender(host.socket_path, 4 * OPENING_SECONDS) as blender,
        ):
            blender.open_shot(shot_setup(spec, MODEL, by))
            list(blender.frames(enumerate(spec.poses()[:1])))
            barrier.wait()
            began = time.monotonic()
            list(blender.frames(enumerate(spec.poses()[1 : frames + 1])))
            spans.append((began, time.monotonic()))

    threads = [threading.Thread(target=draw) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    began, ended = min(span[0] for span in spans), max(span[1] for span in spans)
    return round(number * frames / (ended - began), 2)


def pictures(settings: Settings, by: Engine) -> list[encoders.Picture]:
    """Finished pictures of a standard video, some of its frames one after the other."""
    spec = spec_of("standard", settings)
    compositor = Compositor(plain((255, 255, 255), spec.width, spec.height), 0)
    with (
        tempfile.TemporaryDirectory(dir=settings.scratch) as name,
        BlenderHost(Path(name), sandbox.of_blender(settings)) as host,
        Blender(host.socket_path, OPENING_SECONDS) as blender,
    ):
        blender.open_shot(shot_setup(spec, MODEL, by))
        frames = blender.frames(enumerate(spec.poses()[:ENCODED_FRAMES]))
        return [compositor.over(frame).copy() for frame in frames]


if __name__ == "__main__":
    main()
