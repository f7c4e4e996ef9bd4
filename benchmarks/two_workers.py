"""Speed of a video of many chunks: one worker on one core compared with two workers on a core each."""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from benchmarks import ordering
from benchmarks.servers import servers
from farm.db.session import Database
from farm.orders.render_settings import RenderSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="0.4")
    arguments = parser.parse_args()
    ordering.forget_settings()
    one, two = (seconds(workers, arguments.scale) for workers in (1, 2))
    result = {
        "model": ordering.ASSET.name,
        "one worker on one core, s": round(one, 1),
        "two workers on a core each, s": round(two, 1),
        "two are faster by": round(one / two, 2),
        "machine": f"{os.cpu_count()} cores, no GPU used",
    }
    print(json.dumps(result, indent=2))


def seconds(workers: int, scale: str) -> float:
    """Wall-clock seconds of one render of 90 frames in chunks of 10, with warm workers."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        served = stack.enter_context(servers(folder, "sqlite"))
        settings = served.model_copy(update={"fps": 10, "scale": float(scale), "ffmpeg": None})
        database = Database(settings.database)
        database.upgrade()
        environment = os.environ | {
            "FARM_DATA": str(settings.data), "FARM_REDIS_URL": settings.redis_url, "FARM_SCRATCH": str(folder),
            "FARM_FPS": "10", "FARM_SCALE": scale, "FARM_ENGINE": "cycles", "FARM_FRAME_CACHE_BYTES": "0",
            "FARM_LOG_LEVEL": "error",
        }  # fmt: skip
        for core in range(workers):
            command: list[str | Path] = [Path(sys.executable).with_name("farm"), "worker"]
            worker = subprocess.Popen(command, env=environment)
            psutil.Process(worker.pid).cpu_affinity([core])  # inherited by the processes that it starts
            stack.callback(worker.wait)
            stack.callback(worker.terminate)
        model = ordering.stored_model(database, settings)
        ordering.seconds(database, settings, model, [RenderSettings(length=3)])  # warms up the workers
        return ordering.seconds(database, settings, model, [RenderSettings(length=9)])


if __name__ == "__main__":
    main()
