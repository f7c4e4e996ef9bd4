"""Whole farms as `farm up` starts them: real API, Redis, workers, Blender and ffmpeg, rendering small and coarse."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from farm.settings import Settings
from tests.support import s3
from tests.support.assets import ASSETS
from tests.support.polling import until
from tests.support.processes import FARM, command_line, free_port, is_blender_host

SMALL = {"FARM_SCALE": "0.1", "FARM_FPS": "4", "FARM_SAMPLES": "1", "FARM_LOG_LEVEL": "warning"}
# For tests that break a farm. Leases are short, so that the farm notices soon; a chunk is one GOP, so that a render has
# several; no frame is cached that could end a render before its workers are interrupted.
FRAGILE: dict[str, Any] = {
    "FARM_ENGINE": "cycles",
    "FARM_LEASE_SECONDS": "3",
    "FARM_RETRY_SECONDS": "0.1",
    "FARM_CHUNK_SECONDS": "0.001",
    "FARM_FRAME_CACHE_BYTES": "0",
    "FARM_LOG_LEVEL": "error",
}
LEASE_SECONDS = float(FRAGILE["FARM_LEASE_SECONDS"])


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

    @property
    def key(self) -> str:
        return self.client.headers["Authorization"].removeprefix("Bearer ")

    def upload(self, name: str, settings: str | None = None) -> dict[str, Any]:
        """Upload a sample model; returns the response's data."""
        form = {"renderSettings": settings} if settings else {}
        with (ASSETS / name).open("rb") as file:
            response = self.client.post("/v1/models", files={"file": (name, file)}, data=form)
        assert response.status_code == 201, response.text
        return dict(response.json()["data"])

    def order(self, model_id: str, **render_settings: Any) -> str:
        """Order a render of an uploaded model; returns its id."""
        body = {"modelId": model_id, "renderSettings": render_settings}
        response = self.client.post("/v1/renders", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["data"]["id"])

    def order_batch(self, model_id: str, *requests: dict[str, Any]) -> list[str]:
        """Order one render of an uploaded model for each of these settings; returns their ids."""
        items = [{"modelId": model_id, "renderSettings": render_settings} for render_settings in requests]
        response = self.client.post("/v1/renders/batch", json={"renders": items})
        assert response.status_code == 201, response.text
        return [str(render["id"]) for render in response.json()["data"]]

    def render(self, render_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/v1/renders/{render_id}").json()["data"])

    def preview_of(self, model_id: str) -> dict[str, Any]:
        renders = self.client.get(f"/v1/models/{model_id}").json()["data"]["renders"]
        [preview] = [render for render in renders if render["is_system_preview"]]
        return self.render(preview["id"])

    def wait(self, render_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until a render has one of `statuses`, or is done or in error; returns the render."""
        ends = {*statuses, "done", "error"}
        return until(lambda: self.render(render_id), lambda render: render["status"] in ends)

    def wait_until_done(self, render_id: str) -> dict[str, Any]:
        """Wait until a render is over, and assert that it is done; returns the render."""
        render = self.wait(render_id)
        assert render["status"] == "done", render["errorMessage"]
        return render

    def download(self, render_id: str, path: str) -> bytes:
        """A file of a render, such as "video" or "poster?quality=full"."""
        response = self.client.get(f"/v1/renders/{render_id}/{path}")
        assert response.status_code == 200, response.text
        return response.content

    def files_of(self, render_id: str) -> dict[str, bytes]:
        """All files of a finished video render that a client can download, by path."""
        return {path: self.download(render_id, path) for path in ("video", "poster?quality=full", "thumb")}

    def balance(self) -> int:
        """The client's credits."""
        return int(self.client.get("/v1/account").json()["data"]["credits"])

    def workers(self) -> list[psutil.Process]:
        return [child for child in self.children() if "worker" in command_line(child)]

    def api(self) -> psutil.Process:
        [server] = [child for child in self.children() if "serve" in command_line(child)]
        return server

    def redis(self) -> psutil.Process:
        [server] = [child for child in self.children() if "redis" in child.name()]
        return server

    def children(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children())

    def family(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def blender_hosts(self) -> list[psutil.Process]:
        return [child for child in self.family() if is_blender_host(child)]


@contextmanager
def farm_up(
    folder: Path, *, key: str | None = None, workers: int = 1, within: Sequence[str] = (), **environment: str
) -> Iterator[Farm]:
    """A farm in `folder`, with `environment` on top of SMALL.

    `key` is a key of the farm that was in this folder before; a new farm gets an account and a key. `within` is a
    command that starts the farm.
    """
    data, scratch = folder / "data", folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    variables = os.environ | SMALL | {"FARM_DATA": str(data), "FARM_SCRATCH": str(scratch)} | environment
    if key is None:
        for arguments in (
            ["db", "upgrade"],
            ["accounts", "create", "tester@localhost", "--credits", "1000"],
            ["keys", "create", "tester@localhost"],
        ):
            created = subprocess.run([FARM, *arguments], check=True, capture_output=True, text=True, env=variables)
        key = created.stdout.strip()
    settings = Settings(data=data, scratch=scratch, database_url=environment.get("FARM_DATABASE_URL"))
    port = free_port()
    up: list[str | Path] = [*within, FARM, "up", "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(up, env=variables, start_new_session=True)
    headers = {"Authorization": f"Bearer {key}"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            until(lambda: is_healthy(client))
            yield Farm(process, client, settings)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def is_healthy(client: httpx.Client) -> bool:
    """Whether the API responds, with database, Redis and storage in reach."""
    try:
        return client.get("/v1/health").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def farm_on_s3(folder: Path, door: s3.Door, **environment: Any) -> Iterator[Farm]:
    """A farm whose files are stored behind the door. The test's own process may open its storage as well."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment(door.settings).items():
            patch.setenv(name, value)
        with farm_up(folder, **environment) as running:
            yield running
