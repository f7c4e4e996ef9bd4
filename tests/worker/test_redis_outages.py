"""Redis goes away under real workers: refused connections, silence, lost data."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from farm.db.session import Database
from farm.db.tables import Chunk, Render
from farm.processes import exit_codes
from farm.scheduling.doorbell import Doorbell, connect
from farm.scheduling.reaper import reap
from farm.settings import Settings
from tests.support.polling import until
from tests.support.redis_server import RedisServer, on_socket
from tests.support.workers import SMALL, StartWorker, blenders_of, state, upload

pytestmark = [pytest.mark.slow, pytest.mark.frames(SMALL)]

ALIVE = {"working", "idle"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with on_socket(folder) as server:
        yield server


@pytest.fixture
def settings(settings: Settings, server: RedisServer) -> Settings:
    return settings.model_copy(update={"redis_url": server.url})


@pytest.fixture
def worker(start_worker: StartWorker, database: Database) -> "subprocess.Popen[str]":
    worker = start_worker("--name", "one", FARM_LOG_LEVEL="warning")
    until(lambda: state(database, "one") == "idle")
    return worker


def refuse(server: RedisServer) -> Callable[[], None]:
    server.kill()
    return server.start


def refuse_and_forget(server: RedisServer) -> Callable[[], None]:
    server.kill()
    for path in server.folder.glob("appendonly*"):  # a folder or a file, by Redis' version
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return server.start


def be_silent(server: RedisServer) -> Callable[[], None]:
    server.suspend()
    return server.resume


Begin = Callable[[RedisServer], Callable[[], None]]  # takes Redis away; returns how it comes back
KINDS = [refuse, refuse_and_forget, be_silent]


def assert_alive(database: Database, worker: "subprocess.Popen[str]", seconds: float) -> None:
    """The node stays in the list as alive, and its process runs, for this time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert worker.poll() is None
        assert state(database, "one") in ALIVE
        time.sleep(0.1)


def in_the_middle_of_a_chunk(database: Database, worker: "subprocess.Popen[str]") -> Callable[[], None]:
    """Wait for a chunk, and stop its Blender; returns how it goes on."""
    until(lambda: state(database, "one") == "working")
    [host] = blenders_of(worker)
    host.suspend()
    return lambda: host.resume()


def drawn(database: Database) -> list[Chunk]:
    with database.read() as db:
        return db.query(Chunk).filter_by(kind="draw", state="done").all()


def reaped_until_done(database: Database, settings: Settings, render: str) -> None:
    """Let the reaper work until a render is done."""
    with connect(settings.redis_url) as redis:

        def status() -> str:
            reap(database, Doorbell(redis), settings)
            with database.read() as db:
                return db.get_one(Render, render).status

        assert until(status, lambda found: found in ("done", "error")) == "done"


class TestOutage:
    @pytest.mark.parametrize(
        ("begin", "lengths"),
        [(refuse, [1, 1, 1]), (refuse_and_forget, [10]), (be_silent, [1, 12])],
        ids=["refused thrice", "emptied", "silent"],
    )
    def test_ends_no_worker_in_the_middle_of_a_chunk(
        self,
        worker: "subprocess.Popen[str]",
        database: Database,
        settings: Settings,
        api: TestClient,
        server: RedisServer,
        begin: Begin,
        lengths: list[float],
    ) -> None:
        render = upload(api, "walker.glb", length=3, shadows=False)
        go_on = in_the_middle_of_a_chunk(database, worker)
        for seconds in lengths[:-1]:
            end = begin(server)
            assert_alive(database, worker, seconds)
            end()
            assert_alive(database, worker, 1)
        end = begin(server)
        assert_alive(database, worker, lengths[-1])
        go_on()
        [chunk] = until(lambda: drawn(database), timeout_seconds=30)
        assert (chunk.attempt, chunk.failures) == (1, 0), "what it has drawn is handed in without Redis"
        late = upload(api, "draco.glb", length=3, shadows=False)
        assert_alive(database, worker, 2)
        end()
        for each in (render, late):
            reaped_until_done(database, settings, each)
        assert worker.poll() is None
        with database.read() as db:
            assert {(chunk.attempt, chunk.failures) for chunk in db.query(Chunk)} == {(1, 0)}

    @pytest.mark.parametrize("begin", [refuse, be_silent])
    def test_lets_a_stop_signal_wait_for_the_chunk(
        self, worker: "subprocess.Popen[str]", database: Database, api: TestClient, server: RedisServer, begin: Begin
    ) -> None:
        upload(api, "walker.glb", length=3, shadows=False)
        go_on = in_the_middle_of_a_chunk(database, worker)
        begin(server)
        worker.send_signal(signal.SIGTERM)
        assert_alive(database, worker, 1)
        go_on()
        assert worker.wait(60) == exit_codes.STOPPED
        assert len(drawn(database)) == 1

    def test_lets_an_idle_worker_stop(
        self, worker: "subprocess.Popen[str]", database: Database, server: RedisServer
    ) -> None:
        be_silent(server)
        assert_alive(database, worker, 1)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED
        assert state(database, "one") is None
