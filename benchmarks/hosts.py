"""What the GPU of this machine draws: a video of each tier, and many videos with several Blender hosts on it.

usage: python -m benchmarks.hosts [--tiers share standard 4k pro] [--hosts 1 2 4] [--scale 1]
"""

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import ordering
from benchmarks.scale import servers
from farm import plan
from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import Model
from farm.nodes.hosts import FARM
from farm.render_settings import parse
from farm.settings import Settings

LENGTH = 3  # seconds of a video


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiers", nargs="*", default=["share", "standard", "4k", "pro"])
    parser.add_argument("--hosts", nargs="*", type=int, default=[1, 2, 4])
    parser.add_argument("--scale", default="1")
    arguments = parser.parse_args()
    with farm(1, arguments.scale) as (database, settings, model):
        warm_up(database, settings, model, 1)
        with database.read() as db:
            [node] = nodes.alive(db)
        print(json.dumps({"gpu": node.gpu, "engine": node.engine, "cores": os.cpu_count()}), flush=True)
        for tier in arguments.tiers:
            print(json.dumps({"tier": tier} | measured(database, settings, model, tier, 1)), flush=True)
    for number in arguments.hosts:
        with farm(number, arguments.scale) as (database, settings, model):
            warm_up(database, settings, model, number)
            videos = 2 * max(arguments.hosts)
            print(json.dumps({"hosts": number} | measured(database, settings, model, "standard", videos)), flush=True)


@contextlib.contextmanager
def farm(hosts: int, scale: str) -> Iterator[tuple[Database, Settings, Model]]:
    """A farm of one machine with so many hosts, which keeps no frames, and a model in it."""
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
        worker = subprocess.Popen([*FARM, "worker", "--hosts", str(hosts)], env=environment)
        stack.callback(worker.wait)
        stack.callback(worker.terminate)
        yield database, settings, ordering.stored_model(database, settings)


def warm_up(database: Database, settings: Settings, model: Model, hosts: int) -> None:
    """A video for each host: the first makes a driver compile its shaders, and tells how long a frame takes."""
    measured(database, settings, model, "share", hosts)


def measured(database: Database, settings: Settings, model: Model, tier: str, videos: int) -> dict[str, object]:
    """`videos` of a tier at once, each a second longer than the one before, as equal ones would share their frames."""
    wishes = [parse({"quality": tier, "length": LENGTH + number}) for number in range(videos)]
    frames = sum(plan.shot("", wish, settings).frames for wish in wishes)
    took = ordering.seconds(database, settings, model, wishes)
    return {"videos": videos, "frames": frames, "seconds": round(took, 2), "frames/s": round(frames / took, 2)}


if __name__ == "__main__":
    main()
