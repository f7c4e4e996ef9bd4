"""`farm serve`, `farm reaper` and `farm worker` as process 1, as a container runs them.

The kernel gives process 1 no signal that it has not asked for, and hands it every orphan to take away.
"""

import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient

from farm.db.session import Database
from farm.db.tables import Render
from farm.settings import Settings
from tests.support.api import upload
from tests.support.assets import ASSETS
from tests.support.polling import until
from tests.support.processes import FARM

PRODUCT = ASSETS / "product.glb"
UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@contextmanager
def process_one(settings: Settings, *words: str, **environment: str) -> Iterator[psutil.Process]:
    """A `farm` command as process 1 of a namespace of its own; killed at the end, if it is still there."""
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    surroundings = os.environ | {
        "FARM_DATA": str(settings.data),
        "FARM_REDIS_URL": settings.redis_url,
        "FARM_SCRATCH": str(settings.data),
        **environment,
    }
    outer = subprocess.Popen([*UNSHARE, *rights, FARM, *words], env=surroundings)
    try:
        [inner] = until(lambda: psutil.Process(outer.pid).children(), bool)
        yield inner
    finally:
        outer.kill()
        outer.wait()


def listens_for_sigterm(process: psutil.Process) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    [mask] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


def ends(process: psutil.Process) -> bool:
    """Whether it ends soon after SIGTERM, or after another for a worker with a chunk, with everything it started."""
    family = [process, *process.children(recursive=True)]
    process.send_signal(signal.SIGTERM)
    if psutil.wait_procs([process], timeout=1.5)[1]:
        process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=30)
    return not alive


def test_the_reaper_ends_when_told_to(settings: Settings, database: Database) -> None:  # noqa: ARG001 - migrated
    with process_one(settings, "reaper") as reaper:
        until(lambda: listens_for_sigterm(reaper), bool)
        assert ends(reaper)


def test_the_api_ends_when_told_to(settings: Settings, database: Database) -> None:  # noqa: ARG001 - migrated
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with process_one(settings, "serve", "--port", str(port)) as api:
        until(lambda: _answers(f"http://127.0.0.1:{port}/v1/health"), bool)
        assert ends(api)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.slow
def test_a_worker_takes_the_dead_away_that_a_killed_work_horse_leaves_and_ends_when_told_to(
    settings: Settings, database: Database, api: TestClient
) -> None:
    small = {"FARM_ENGINE": "cycles", "FARM_SAMPLES": "1", "FARM_FRAME_CACHE_BYTES": "0"}
    with process_one(settings, "worker", **small) as worker:
        upload(api, PRODUCT.read_bytes()).raise_for_status()
        [horse] = until(lambda: [child for child in worker.children() if _encodes(child)], bool)
        horse.kill()
        until(lambda: _finished(database), bool)
        until(
            lambda: [each for each in worker.children() if each.status() == psutil.STATUS_ZOMBIE], lambda dead: not dead
        )
        assert ends(worker)


def _encodes(process: psutil.Process) -> bool:
    return any("ffmpeg" in child.name() for child in process.children())


def _finished(database: Database) -> bool:
    """Whether the preview is done, which costs one attempt more than usual."""
    with database.read() as db:
        return db.query(Render).filter_by(is_system_preview=True).one().status == "done"
