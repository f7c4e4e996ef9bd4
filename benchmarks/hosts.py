"""What the GPU of this machine draws: a video of each tier, and many videos with several Blender hosts on it.

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
            drawn(database, settings, model, tier, 1)  # compiles the shaders, and tells how long a frame takes
            show(tier=tier, **drawn(database, settings, model, tier, 1))
    for number in arguments.hosts:
        with machine(number, arguments.scale) as (database, settings, model):
            drawn(database, settings, model, "standard", number)
            show(hosts=number, **drawn(database, settings, model, "standard", 2 * max(arguments.hosts)))


@contextlib.contextmanager
def machine(hosts: int, scale: str) -> Iterator[tuple[Database, Settings, Model]]:
    """A farm of one machine with so many hosts, all there, which keeps no frames, and a model in it."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        served = stack.enter_context(servers(folder, "sqlite"))
        usual = Settings()
        own = {"fps": usual.fps, "scale": float(scale), "ffmpeg": None, "chunk_seconds": usual.chunk_seconds}
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
        there = 0
        while there < hosts:
            time.sleep(0.5)
            assert worker.poll() is None, "the worker ended; what it said is above"
            with database.read() as db:
                there = len(nodes.alive(db))
        yield database, settings, ordering.stored_model(database, settings)


def drawn(database: Database, settings: Settings, model: Model, tier: str, videos: int) -> dict[str, object]:
    """What it takes to have so many videos of a tier done, ordered at once."""
    requests = [parse({"quality": tier, "length": LENGTH})] * videos
    frames = sum(plan.shot("", request, settings).frames for request in requests)
    took = ordering.seconds(database, settings, model, requests)
    return {"videos": videos, "frames": frames, "seconds": round(took, 2), "frames/s": round(frames / took, 2)}


def show(**line: object) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
