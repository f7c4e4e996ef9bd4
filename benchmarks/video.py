"""Measures the frames per second of compositing and encoding, on synthetic frames without Blender.

Prints one line of JSON per tier. usage: python -m benchmarks.video [TIER ...] [--frames N]
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from farm.orders import plan
from farm.orders.render_settings import parse
from farm.scene.camera import Lens, view
from farm.scene.shot import Frame, Layer, ShadowMap
from farm.settings import Settings
from farm.tiers import TIERS
from farm.video.backgrounds import plain
from farm.video.composite import Compositor
from farm.video.cutout import Cutout
from farm.video.run import executable
from farm.video.variant import Files, Variant


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tiers", nargs="*", default=["standard", "4k", "pro"])
    parser.add_argument("--frames", type=int, default=20)
    arguments = parser.parse_args()
    settings = Settings()
    for tier in arguments.tiers:
        with tempfile.TemporaryDirectory(dir=settings.scratch) as folder:
            print(json.dumps(measure(tier, arguments.frames, Path(folder), settings)))


def measure(tier: str, count: int, folder: Path, settings: Settings) -> dict[str, object]:
    """Frames per second of compositing alone, and of compositing and encoding together."""
    request = parse({"quality": tier, "bgColor": "#f0f0f0"})
    spec = plan.shot("benchmark", request, settings)
    frames = synthetic_frames(folder, spec.width, spec.height, TIERS[tier].bits, count)
    compositor = Compositor(plain(request.background, spec.width, spec.height), 0)
    cutout = Cutout(spec.width, spec.height, 0)
    figures = {"over_colour": rate(compositor.over, frames)}
    if TIERS[tier].has_alpha:
        figures["over_nothing"] = rate(cutout.of, frames)
    files = Files(folder, tier)
    began = time.perf_counter()
    with Variant(spec, request, None, files, executable(settings.ffmpeg)) as variant:
        for frame in frames:
            variant.write(frame)
    figures["composited_and_encoded"] = count / (time.perf_counter() - began)
    return {
        "tier": tier,
        "size": f"{spec.width}x{spec.height}",
        "frames": count,
        "frames_per_second": {name: round(figure, 2) for name, figure in figures.items()},
        "bytes": {kind: path.stat().st_size for kind, path in files.videos.items()},
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine(), "gpu": None},
    }


def rate(work: Callable[[Frame], object], frames: Iterable[Frame]) -> float:
    """Calls per second of `work`, after one warm-up call."""
    began, count = 0.0, -1
    for frame in frames:
        if count < 0:
            work(frame)
            began, count = time.perf_counter(), 0
        work(frame)
        count += 1
    return count / (time.perf_counter() - began)


def synthetic_frames(folder: Path, width: int, height: int, bits: int, count: int) -> list[Frame]:
    """Frames of a coloured ellipse on a soft shadow, as large as a typical product."""
    across, down = width * 45 // 100, height * 80 // 100
    x, y = np.meshgrid(np.linspace(-1, 1, across), np.linspace(-1, 1, down))
    inside = np.clip((1 - np.hypot(x, y)) * across / 2, 0, 1)
    stripes = 0.5 + 0.3 * np.sin(x * 40) * np.sin(y * 40)
    subject = np.stack([stripes, (x + 1) / 2, (y + 1) / 2, inside], axis=-1) * (2**bits - 1)
    subject.astype(f"<u{bits // 8}").tofile(folder / "subject")
    layer = Layer(str(folder / "subject"), (width - across) // 2, (height - down) // 2, across, down)
    size = 256
    distance = np.hypot(*np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size)))
    np.save(folder / "shadow.npy", (0.6 * np.clip(1 - distance, 0, 1) ** 2).astype(np.float32))
    shadow = ShadowMap(str(folder / "shadow.npy"), size, 2.0)
    lens = Lens.around_sphere(focal_length=85, elevation=12, margin=1.12, target=0.8, width=width, height=height)
    grounds = [tuple(view(lens, 4.0 * number, 1.0).ground_to_pixel.ravel().tolist()) for number in range(count)]
    return [Frame(number, bits, layer, None, shadow, ground) for number, ground in enumerate(grounds)]


if __name__ == "__main__":
    main()
