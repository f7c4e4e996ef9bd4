"""`farm serve`, `farm reaper` and `farm worker` as process 1, as a container runs them.

The kernel delivers to process 1 only signals that it handles, and makes it the parent of every orphan.
"""

import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient

from farm.settings import Settings
from tests.support.api import upload
from tests.support.assets import ASSETS
from tests.support.polling import until
from tests.support.processes import FARM

PRODUCT = ASSETS / "product.glb"
UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@contextmanager
def process_one(settings: Settings, *arguments: str, **variables: str) -> Iterator[psutil.Process]:
    """A `farm` command as process 1 of a namespace of its own; killed at the end if it still runs."""
    options = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    environment = os.environ | {
        "FARM_DATA": str(settings.data),
        "FARM_REDIS_URL": settings.redis_url,
        "FARM_SCRATCH": str(settings.data),
        **variables,
    }
    outer = subprocess.Popen([*UNSHARE, *options, FARM, *arguments], env=environment)
    try:
        [inner] = until(lambda: psutil.Process(outer.pid).children())
        yield inner
    finally:
        outer.kill()
        outer.wait()


def handles_sigterm(process: psutil.Process) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    [mask] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


def ends_on_sigterm(process: psutil.Process) -> bool:
    """Whether a process ends with all of its children: after one SIGTERM, or two for a worker with a chunk."""
    family = [process, *process.children(recursive=True)]
    process.send_signal(signal.SIGTERM)
    if psutil.wait_procs([process], timeout=1.5)[1]:
        process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=30)
    return not alive


class TestProcessOne:
    @pytest.mark.usefixtures("database")
    def test_ends_the_reaper_on_sigterm(self, settings: Settings) -> None:
        with process_one(settings, "reaper") as reaper:
            until(lambda: handles_sigterm(reaper))
            assert ends_on_sigterm(reaper)

    @pytest.mark.usefixtures("database")
    def test_ends_the_api_on_sigterm(self, settings: Settings) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with process_one(settings, "serve", "--port", str(port)) as api:
            until(lambda: _responds(f"http://127.0.0.1:{port}/v1/health"))
            assert ends_on_sigterm(api)

    @pytest.mark.slow
    def test_reaps_orphans_of_a_killed_work_horse_and_ends(self, settings: Settings, api: TestClient) -> None:
        small = {"FARM_ENGINE": "cycles", "FARM_SAMPLES": "1", "FARM_FRAME_CACHE_BYTES": "0"}
        with process_one(settings, "worker", **small) as worker:
            upload(api, PRODUCT.read_bytes()).raise_for_status()
            [horse] = until(lambda: [child for child in worker.children() if _encodes(child)])
            horse.kill()
            until(lambda: any(_encodes(child) for child in worker.children() if child != horse))
            until(lambda: all(child.status() != psutil.STATUS_ZOMBIE for child in worker.children()))
            assert ends_on_sigterm(worker)


def _responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _encodes(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return any("ffmpeg" in child.name() for child in process.children())
    return False
