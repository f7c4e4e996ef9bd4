"""A disk that is full, or files that may not grow, and the farm once there is room again.

The disks are small tmpfs, in a mount namespace of the farm's own.
"""

import contextlib
import json
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.api import assert_error
from tests.support.assets import ASSETS
from tests.support.consistency import assert_consistent, assert_no_processes
from tests.support.farms import FRAGILE, LEASE_SECONDS, Farm, farm_up
from tests.support.interruptions import order_render, worker_paused
from tests.support.polling import until
from tests.support.processes import FARM

OWN_MOUNTS = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
# Moves each folder with its content onto a disk of its own, and executes the command after the dashes.
SMALL_DISKS = """
set -e
while [ "$1" != -- ]; do
    mkdir "$1.disk"
    mount -t tmpfs -o size=32m tmpfs "$1.disk"
    cp -a "$1/." "$1.disk"
    mount --bind "$1.disk" "$1"
    shift
done
shift
exec "$@"
"""


@pytest.fixture(scope="module")
def one_farm_on_disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("disks")
    disks = [*OWN_MOUNTS, "sh", "-c", SMALL_DISKS, "sh", str(folder / "data"), str(folder / "scratch"), "--"]
    with farm_up(folder, within=disks, **FRAGILE) as running:
        inside = Path(f"/proc/{running.process.pid}/root")
        paths = {name: inside / getattr(running, name).relative_to("/") for name in ("data", "scratch")}
        yield replace(running, settings=running.settings.model_copy(update=paths))
    assert_no_processes(running)


@pytest.fixture
def on_disks(one_farm_on_disks: Farm) -> Iterator[Farm]:
    """A farm with data and scratch on a small disk each; checked for consistency after each test."""
    yield one_farm_on_disks
    assert_consistent(one_farm_on_disks, workers=1)


class TestFilesThatMayNotGrow:
    def test_delay_renders_and_lose_none(self, fragile: Farm) -> None:
        """For longer than a lease. The database and the log are files, too: not even a failure can be recorded."""
        render = order_render(fragile)
        with worker_paused(fragile):
            limit_files(fragile, 0)
        try:
            assert_error(send(fragile), "unavailable", 503)
            time.sleep(LEASE_SECONDS + 1)
        finally:
            limit_files(fragile, resource.RLIM_INFINITY)
        assert_done_or_no_room(fragile.wait(render))


class TestFullDisk:
    def test_of_scratch_quarantines_the_node_and_loses_no_render(self, on_disks: Farm) -> None:
        render = order_render(on_disks)
        with full(on_disks.scratch, on_disks):
            [node] = until(
                lambda: json.loads(inside(on_disks, "nodes", "list", "--json")),
                lambda nodes: all(node["state"] == "quarantined" for node in nodes),
            )
        assert "No space left" in node["reason"]
        inside(on_disks, "nodes", "resume", node["name"])  # instead of waiting for the next check
        on_disks.wait_until_done(render)

    def test_of_data_refuses_uploads_and_loses_no_render(self, on_disks: Farm) -> None:
        render = order_render(on_disks)
        with full(on_disks.data, on_disks):
            assert_error(send(on_disks), "unavailable", 503)
            time.sleep(LEASE_SECONDS + 1)
        assert_done_or_no_room(on_disks.wait(render))


def inside(farm: Farm, *words: str) -> str:
    """The output of a command of `farm`, run in the farm's mount namespace."""
    enter = ["nsenter", "--mount", *([] if os.geteuid() == 0 else ["--user", "--preserve-credentials"])]
    data = Path("/") / farm.data.relative_to(f"/proc/{farm.process.pid}/root")
    command = [*enter, "--target", str(farm.process.pid), "--", str(FARM), *words, "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def limit_files(farm: Farm, size: int) -> None:
    """Limit the size of files that the farm's processes, except Redis, may write; `size` in bytes.

    RLIM_INFINITY lifts the limit, as far as a process in a sandbox has one of its own.
    """

    def limited() -> bool:
        family = [psutil.Process(farm.process.pid), *farm.family()]
        unchanged = True
        for process in family:
            with contextlib.suppress(psutil.Error):
                if "redis" not in process.name():
                    soft, hard = process.rlimit(psutil.RLIMIT_FSIZE)
                    wanted = hard if size == resource.RLIM_INFINITY else size
                    unchanged = unchanged and soft == wanted
                    process.rlimit(psutil.RLIMIT_FSIZE, (wanted, hard))
        return unchanged

    until(limited)  # repeatedly, as a process that was just forked may still have the old limit


@contextlib.contextmanager
def full(disk: Path, farm: Farm) -> Iterator[None]:
    """Fill a disk in the middle of a chunk; there is room again after the block."""
    filler = disk / "filler"
    try:
        with worker_paused(farm), filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))
        yield
    finally:
        filler.unlink()


def send(farm: Farm) -> httpx.Response:
    """Upload a model that the farm does not have."""
    with (ASSETS / "product.glb").open("rb") as file:
        return farm.client.post("/v1/models", files={"file": ("product.glb", file)})


def assert_done_or_no_room(render: dict[str, Any]) -> None:
    assert render["status"] == "done" or "full" in render["errorMessage"], render["errorMessage"]
