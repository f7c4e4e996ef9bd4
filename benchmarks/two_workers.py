"""One worker on one core against two workers on two: how much faster a video of many chunks is."""

import argparse
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.scale import servers
from farm import accounts, schedule
from farm.db.session import Database
from farm.db.tables import Model, Render
from farm.queue.queues import Doorbell, connect
from farm.render_settings import RenderSettings
from farm.settings import Settings
from farm.storage import open_storage

ASSET = Path("tests/assets/product.glb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="0.4")
    arguments = parser.parse_args()
    one, two = (seconds(workers, arguments.scale) for workers in (1, 2))
    result = {
        "model": ASSET.name,
        "one worker on one core, s": round(one, 1),
        "two workers on a core each, s": round(two, 1),
        "two are faster by": round(one / two, 2),
        "machine": f"{os.cpu_count()} cores, no GPU used",
    }
    print(json.dumps(result, indent=2))


def seconds(workers: int, scale: str) -> float:
    """Wall time of one render of 90 frames in chunks of 10, the workers being warm."""
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
            psutil.Process(worker.pid).cpu_affinity([core])  # of all that it starts, too
            stack.callback(worker.wait)
            stack.callback(worker.terminate)
        render(database, settings, 3)  # warms them up
        return render(database, settings, 9)


def render(database: Database, settings: Settings, length: int) -> float:
    content = ASSET.read_bytes()
    bell = Doorbell(connect(settings.redis_url))
    with database.write() as db:
        account = accounts.create(db, f"bench{length}@example.com", credits_=100)
        model = Model(
            account_id=account.id, original_name=ASSET.name, format="glb", file_size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )  # fmt: skip
        db.add(model)
    open_storage(settings).put(model.storage_key, ASSET)
    began = time.monotonic()
    with database.write() as db:
        ordered = schedule.render(db, model, RenderSettings(length=length), settings, bell)
    while True:
        with database.read() as db:
            status = db.get_one(Render, ordered.id).status
        if status in ("done", "error"):
            assert status == "done"
            return time.monotonic() - began
        time.sleep(0.1)


if __name__ == "__main__":
    main()
