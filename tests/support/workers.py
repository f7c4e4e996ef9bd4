"""Real workers, as `farm worker` starts them, on a farm of the test's own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
from fastapi.testclient import TestClient

from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import Node
from farm.nodes import registry
from farm.settings import Settings

FARM = Path(sys.executable).with_name("farm")
ASSETS = Path(__file__).parents[1] / "assets"
SMALL = {"scale": 0.05, "fps": 4, "samples": 1}
ENDLESS = {"scale": 1.0, "fps": 4, "samples": 4096}  # a frame takes minutes
PATIENCE = 90.0


class StartWorker(Protocol):
    def __call__(self, *options: str, **environment: str) -> "subprocess.Popen[str]": ...


def until(look: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What `look` returns once it is something. Raises TimeoutError after a while."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.05)
    raise TimeoutError


@pytest.fixture
def start_worker(settings: Settings, database: Database, tmp_path: Path) -> Iterator[StartWorker]:  # noqa: ARG001
    """Starts `farm worker`; whatever still runs in the end is killed."""
    (tmp_path / "scratch").mkdir()
    places = {
        "FARM_DATA": str(settings.data),
        "FARM_REDIS_URL": settings.redis_url,
        "FARM_SCRATCH": str(tmp_path / "scratch"),
        "FARM_ENGINE": "cycles",
    }

    @contextmanager
    def running(options: tuple[str, ...], environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
        surroundings = os.environ | places | environment
        with subprocess.Popen(
            [FARM, "worker", *options], env=surroundings, stderr=subprocess.PIPE, text=True
        ) as worker:
            try:
                yield worker
            finally:
                worker.kill()

    with ExitStack() as stack:
        yield lambda *options, **environment: stack.enter_context(running(options, environment))


def state(database: Database, name: str) -> str | None:
    """What `farm nodes list` calls a node; None for one that it does not list."""
    with database.read() as db:
        return {node.name: registry.state(node, chunk) for node, chunk in nodes.every(db)}.get(name)


def node(database: Database, name: str) -> Node:
    with database.read() as db:
        return nodes.named(db, name)


def blenders_of(worker: "subprocess.Popen[str]") -> list[psutil.Process]:
    """A worker's Blender host, in a list that is empty while there is none."""
    return [child for child in psutil.Process(worker.pid).children() if "farm.blender.host" in command(child)]


def command(process: psutil.Process) -> list[str]:
    """The command line; none for a process that is just gone."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def upload(api: TestClient, name: str, *, keep_preview: bool = False, **render_settings: Any) -> str:
    """Upload a model with a render_settings; returns the render's id. Its preview is deleted, unless it is wanted."""
    with (ASSETS / name).open("rb") as file:
        form = {"renderSettings": json.dumps(render_settings)}
        answer = api.post("/v1/models", files={"file": (name, file)}, data=form).json()["data"]
    for render in api.get(f"/v1/models/{answer['modelId']}").json()["data"]["renders"]:
        if render["is_system_preview"] and not keep_preview:
            api.delete(f"/v1/renders/{render['id']}")
    return str(answer["renderId"])
