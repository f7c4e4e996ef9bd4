"""`farm worker` joins, sends heartbeats and leaves; with which exit code it ends; one worker per host."""

import signal
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import Chunk
from farm.nodes import registry
from farm.processes import exit_codes
from farm.worker.resilient_worker import HEARTBEAT_SECONDS
from tests.support.polling import until
from tests.support.workers import SMALL, StartWorker, node, state, upload

pytestmark = [pytest.mark.slow, pytest.mark.frames(SMALL)]


class TestLifecycle:
    def test_joins_sends_heartbeats_and_leaves(self, start_worker: StartWorker, database: Database) -> None:
        worker = start_worker("--name", "one", "--tags", "studio, big")
        until(lambda: state(database, "one") == "idle")
        joined = node(database, "one")
        assert (joined.engine, joined.gpu, joined.draws, joined.tags) == ("cycles", None, True, ["studio", "big"])
        assert (joined.bpy_version, joined.database_version) == ("4.5.15", database.newest_version())
        until(lambda: node(database, "one").seen_at - joined.seen_at > timedelta(seconds=8))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED
        assert state(database, "one") is None

    def test_replaces_a_killed_node_of_the_same_name_at_once(
        self, start_worker: StartWorker, database: Database
    ) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one") == "idle")
        worker.kill()
        worker.wait()
        began = node(database, "one").started_at
        start_worker("--name", "one")
        until(lambda: node(database, "one").started_at > began, timeout_seconds=15)

    def test_refuses_to_join_with_an_engine_that_has_no_gpu(
        self, start_worker: StartWorker, database: Database
    ) -> None:
        """Cycles itself would draw on the CPU instead, many times as long."""
        worker = start_worker("--name", "one", FARM_ENGINE="cycles-cuda", CUDA_VISIBLE_DEVICES="")
        assert worker.wait(60) == exit_codes.REFUSED
        assert worker.stderr
        assert "FARM_ENGINE is cycles-cuda, and Cycles finds no GPU for it here" in worker.stderr.read()
        assert state(database, "one") is None

    def test_ends_on_sigterm_during_a_heartbeat(self, start_worker: StartWorker, database: Database) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one") == "idle")
        with database.write() as db:
            db.execute(text("SELECT 1"))  # from here on the next heartbeat waits for this transaction
            time.sleep(HEARTBEAT_SECONDS + 1)
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED

    def test_claims_no_chunk_after_sigterm(
        self, start_worker: StartWorker, database: Database, api: TestClient
    ) -> None:
        for _ in range(2):
            upload(api, "walker.glb", length=3, shadows=False)
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one") == "working")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == exit_codes.STOPPED
        with database.read() as db:
            assert sorted(chunk.state for chunk in db.query(Chunk)) == ["done", "queued", "queued"]

    def test_ends_when_another_machine_has_taken_its_name(self, start_worker: StartWorker, database: Database) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one") == "idle")
        with database.write() as db:
            nodes.named(db, "one").machine = "elsewhere"
        assert worker.wait(20) == exit_codes.REFUSED
        assert worker.stderr
        assert "Another worker has joined as one" in worker.stderr.read().splitlines()[-1]
        assert node(database, "one").machine == "elsewhere"

    def test_refuses_a_second_node_of_the_same_name(self, start_worker: StartWorker, database: Database) -> None:
        start_worker("--name", "one")
        until(lambda: state(database, "one"))
        second = start_worker("--name", "one")
        assert second.wait(20) == exit_codes.REFUSED
        assert second.stderr
        assert "already" in second.stderr.read()


class TestFailedStart:
    def test_ends_with_one_line_when_redis_is_down(
        self, start_worker: StartWorker, database: Database, tmp_path: Path
    ) -> None:
        worker = start_worker("--name", "one", FARM_REDIS_URL=f"unix://{tmp_path}/none", FARM_LOG_LEVEL="error")
        assert worker.wait(30) == 1
        assert worker.stderr
        assert worker.stderr.read().splitlines()[-1].startswith("Redis does not ")
        assert state(database, "one") == "gone", "the loss is visible"

    def test_leaves_nothing_when_stopped_while_it_starts(
        self, start_worker: StartWorker, database: Database, tmp_path: Path
    ) -> None:
        worker = start_worker("--name", "one")
        until(lambda: state(database, "one"))  # it has joined, and starts Blender
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == exit_codes.STOPPED
        assert state(database, "one") is None
        assert list((tmp_path / "tmp").iterdir()) == []


class TestHosts:
    def test_registers_each_host_and_ends_them_together(self, start_worker: StartWorker, database: Database) -> None:
        command = start_worker("--name", "box", "--hosts", "2")
        until(lambda: state(database, "box-1") == state(database, "box-2") == "idle")
        family = psutil.Process(command.pid).children(recursive=True)
        with database.write() as db:
            registry.drain(db, "box-1")
        until(lambda: state(database, "box-1") == "drained")
        assert command.poll() is None
        command.send_signal(signal.SIGTERM)
        assert command.wait(20) == exit_codes.STOPPED
        assert not [process for process in family if process.is_running()]
        assert state(database, "box-2") is None

    def test_ends_once_all_hosts_are_drained(self, start_worker: StartWorker, database: Database) -> None:
        command = start_worker("--name", "box", "--hosts", "2")
        until(lambda: state(database, "box-1") == state(database, "box-2") == "idle")
        with database.write() as db:
            registry.drain(db, "box-1")
            registry.drain(db, "box-2")
        assert command.wait(20) == exit_codes.STOPPED
