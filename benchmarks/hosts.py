"""Speed of this machine's GPU: one video of each tier, then many videos with several Blender hosts on it.

usage: python -m benchmarks.hosts [--tiers share standard 4k pro] [--hosts 1 2 4] [--scale 1]
"""

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import ordering
from benchmarks.servers import servers
from farm.commands.worker_group import FARM_COMMAND
from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import Model
from farm.orders import plan
from farm.orders.render_settings import parse
from farm.settings import Settings

LENGTH = 3  # seconds of a video


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiers", nargs="*", default=["share", "standard", "4k", "pro"])
    parser.add_argument("--hosts", nargs="*", type=int, default=[1, 2, 4])
    parser.add_argument("--scale", default="1")
    arguments = parser.parse_args()
    ordering.forget_settings()
    with machine(1, arguments.scale) as (database, settings, model):
        with database.read() as db:
            [node] = nodes.alive(db)
        show(gpu=node.gpu, engine=node.engine, cores=os.cpu_count())
        for tier in arguments.tiers:
            measure(database, settings, model, tier, 1)  # compiles the shaders, and measures the seconds per frame
            show(tier=tier, **measure(database, settings, model, tier, 1))
    for number in arguments.hosts:
        with machine(number, arguments.scale) as (database, settings, model):
            measure(database, settings, model, "standard", number)
            show(hosts=number, **measure(database, settings, model, "standard", 2 * max(arguments.hosts)))


@contextlib.contextmanager
def machine(hosts: int, scale: str) -> Iterator[tuple[Database, Settings, Model]]:
    """A farm of one machine with this many running hosts and no frame cache, and a model."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        served = stack.enter_context(servers(folder, "sqlite"))
        defaults = Settings()
        own = {"fps": defaults.fps, "scale": float(scale), "ffmpeg": None, "chunk_seconds": defaults.chunk_seconds}
        settings = served.model_copy(update=own)
        database = Database(settings.database)
        stack.callback(database.close)
        database.upgrade()
        environment = os.environ | {
            "FARM_DATA": str(settings.data), "FARM_REDIS_URL": settings.redis_url, "FARM_SCRATCH": str(folder),
            "FARM_SCALE": scale, "FARM_FRAME_CACHE_BYTES": "0", "FARM_LOG_LEVEL": "error",
        }  # fmt: skip
        worker = subprocess.Popen([*FARM_COMMAND, "worker", "--hosts", str(hosts)], env=environment)
        stack.callback(worker.wait)
        stack.callback(worker.terminate)
        alive = 0
        while alive < hosts:
            time.sleep(0.5)
            assert worker.poll() is None, "the worker ended; its output is above"
            with database.read() as db:
                alive = len(nodes.alive(db))
        yield database, settings, ordering.stored_model(database, settings)


def measure(database: Database, settings: Settings, model: Model, tier: str, videos: int) -> dict[str, object]:
    """Draw this many videos of a tier, ordered together; returns the seconds and the frames per second."""
    requests = [parse({"quality": tier, "length": LENGTH})] * videos
    frames = sum(plan.shot("", request, settings).frames for request in requests)
    took = ordering.seconds(database, settings, model, requests)
    return {"videos": videos, "frames": frames, "seconds": round(took, 2), "frames/s": round(frames / took, 2)}


def show(**line: object) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
