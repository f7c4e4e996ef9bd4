"""Real workers, as `farm worker` starts them."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
from fastapi.testclient import TestClient

from farm.db import clock, nodes
from farm.db.session import Database
from farm.db.tables import Node
from farm.nodes import registry
from farm.settings import Settings
from tests.support.assets import ASSETS
from tests.support.processes import FARM, is_blender_host

SMALL = {"scale": 0.05, "fps": 4, "samples": 1}
ENDLESS = {"scale": 1.0, "fps": 4, "samples": 4096}  # a frame takes minutes


class StartWorker(Protocol):
    def __call__(self, *options: str, **environment: str) -> "subprocess.Popen[str]": ...


@pytest.fixture
def start_worker(settings: Settings, database: Database, tmp_path: Path) -> Iterator[StartWorker]:  # noqa: ARG001
    """Starts `farm worker`; workers that still run at the end of the test are killed."""
    (tmp_path / "tmp").mkdir()
    own = {
        "FARM_DATA": str(settings.data),
        "FARM_REDIS_URL": settings.redis_url,
        "FARM_SCRATCH": str(tmp_path / "tmp"),
        "FARM_ENGINE": "cycles",
        "FARM_RETRY_SECONDS": "0",  # no reaper runs that would wake a worker later
    }

    @contextmanager
    def running(options: tuple[str, ...], environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
        variables = os.environ | own | environment
        with subprocess.Popen([FARM, "worker", *options], env=variables, stderr=subprocess.PIPE, text=True) as worker:
            try:
                yield worker
            finally:
                worker.kill()

    with ExitStack() as stack:
        yield lambda *options, **environment: stack.enter_context(running(options, environment))


def state(database: Database, name: str) -> str | None:
    """The state of a node in `farm nodes list`; None for one that it does not list."""
    with database.read() as db:
        at = clock.now(db)
        return {node.name: registry.state(node, chunk, at) for node, chunk in nodes.every(db)}.get(name)


def node(database: Database, name: str) -> Node:
    with database.read() as db:
        return nodes.named(db, name)


def blenders_of(worker: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The Blender host of a worker: one, or none while it does not run."""
    return [child for child in psutil.Process(worker.pid).children() if is_blender_host(child)]


def upload(api: TestClient, name: str, *, keep_preview: bool = False, **render_settings: Any) -> str:
    """Upload a sample model; returns the id of its render. Its preview is deleted. Default: no settings."""
    with (ASSETS / name).open("rb") as file:
        form = {"renderSettings": json.dumps(render_settings)}
        uploaded = api.post("/v1/models", files={"file": (name, file)}, data=form).json()["data"]
    for render in api.get(f"/v1/models/{uploaded['modelId']}").json()["data"]["renders"]:
        if render["is_system_preview"] and not keep_preview:
            api.delete(f"/v1/renders/{render['id']}")
    return str(uploaded["renderId"])
