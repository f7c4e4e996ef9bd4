"""A whole farm as `farm up` starts it: real API, Redis, worker, Blender and ffmpeg, drawing small and coarse."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from farm.settings import Settings
from tests.support import s3

FARM = Path(sys.executable).with_name("farm")
ASSETS = Path(__file__).parents[1] / "assets"
SMALL = {"FARM_SCALE": "0.1", "FARM_FPS": "4", "FARM_SAMPLES": "1", "FARM_LOG_LEVEL": "warning"}
PATIENCE = 120.0


@dataclass
class Farm:
    """A running farm, a client with a key for it, and the folders it works in."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    settings: Settings

    @property
    def data(self) -> Path:
        return self.settings.data

    @property
    def scratch(self) -> Path:
        return self.settings.scratch

    def upload(self, name: str, settings: str | None = None) -> dict[str, Any]:
        form = {"renderSettings": settings} if settings else {}
        with (ASSETS / name).open("rb") as file:
            answer = self.client.post("/v1/models", files={"file": (name, file)}, data=form)
        assert answer.status_code == 201, answer.text
        return dict(answer.json()["data"])

    def render(self, render_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/v1/renders/{render_id}").json()["data"])

    def preview_of(self, model_id: str) -> dict[str, Any]:
        renders = self.client.get(f"/v1/models/{model_id}").json()["data"]["renders"]
        [preview] = [render for render in renders if render["is_system_preview"]]
        return self.render(preview["id"])

    def wait(self, render_id: str, *statuses: str) -> dict[str, Any]:
        """The render once it has one of `statuses`; done or error end the waiting anyhow."""
        ends = {*statuses, "done", "error"}
        return dict(until(lambda: self.render(render_id), lambda render: render["status"] in ends))

    def workers(self) -> list[psutil.Process]:
        return [child for child in self.children() if "worker" in command(child)]

    def redis(self) -> psutil.Process:
        [server] = [child for child in self.children() if "redis" in child.name()]
        return server

    def children(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children())

    def family(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def blender_hosts(self) -> list[psutil.Process]:
        return [child for child in self.family() if "farm.blender.host" in command(child)]


def command(process: psutil.Process) -> list[str]:
    """The command line; none for a process that is just gone."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    """What `look` returns once it is good. Raises TimeoutError after a while."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        seen = look()
        if good(seen):
            return seen
        time.sleep(0.05)
    raise TimeoutError(f"the last thing seen was {seen}")


@contextmanager
def farm_up(
    folder: Path, *, key: str | None = None, workers: int = 1, within: Sequence[str] = (), **environment: str
) -> Iterator[Farm]:
    """A farm in `folder`, with what stands in `environment` on top of the small settings.

    `key` is a key of the farm that was in this folder before; a new farm gets an account and a key made. `within` is a
    command that the farm is started by.
    """
    data, scratch = folder / "data", folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    surroundings = os.environ | SMALL | {"FARM_DATA": str(data), "FARM_SCRATCH": str(scratch)} | environment
    if key is None:
        for words in (
            ["accounts", "create", "tester@localhost", "--credits", "1000"],
            ["keys", "create", "tester@localhost"],
        ):
            made = subprocess.run([FARM, *words], check=True, capture_output=True, text=True, env=surroundings)
        key = made.stdout.strip()
    settings = Settings(data=data, scratch=scratch, database_url=environment.get("FARM_DATABASE_URL"))
    port = free_port()
    up: list[str | Path] = [*within, FARM, "up", "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(up, env=surroundings, start_new_session=True)
    headers = {"Authorization": f"Bearer {key}"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            until(lambda: healthy(client), bool)
            yield Farm(process, client, settings)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def healthy(client: httpx.Client) -> bool:
    """Whether the API answers, and has all that it needs."""
    try:
        return client.get("/v1/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """One farm for all tests that do not break it."""
    with farm_up(tmp_path_factory.mktemp("farm"), FARM_ENGINE="cycles") as running:
        yield running


@contextmanager
def farm_on_s3(folder: Path, door: s3.Door, **environment: Any) -> Iterator[Farm]:
    """A farm, as `farm_up` makes one, whose files lie behind the door, also for tests that look at its storage."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment(door.settings).items():
            patch.setenv(name, value)
        with farm_up(folder, **environment) as running:
            yield running
