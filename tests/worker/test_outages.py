"""Attempts that fail because a service that the whole farm shares is down."""

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from farm.db import chunks
from farm.db.session import Database
from farm.db.tables import Chunk, Render, now
from farm.errors import Unavailable
from farm.scheduling import leases
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant, ClaimedChunk
from farm.settings import Settings
from farm.storage import open_storage
from farm.worker import jobs, publishing
from farm.worker.context import WorkerContext
from farm.worker.lease import Lease
from tests.support import s3
from tests.support.chunks import as_claimed, claimed

CLAIMANT = Claimant("w", "cycles")
NO_STORAGE = Unavailable("The file storage is down")
NO_DATABASE = OperationalError("COMMIT", {}, Exception("server closed the connection"))


@pytest.fixture
def node(settings: Settings, tmp_path: Path) -> WorkerContext:
    return WorkerContext("w", settings, "cycles", tmp_path / "sock", tmp_path)


@pytest.fixture
def chunk(database: Database, render: Render) -> ClaimedChunk:
    with database.write() as db:
        first = leases.claim_next(db, CLAIMANT, seconds=30)
    assert first
    assert first.shot_id == render.shot_id
    return first


class TestAttempt:
    @pytest.mark.parametrize("outage", [NO_STORAGE, NO_DATABASE])
    def test_does_not_count_as_failed_during_an_outage(
        self, node: WorkerContext, database: Database, doorbell: Doorbell, chunk: ClaimedChunk, outage: Exception
    ) -> None:
        jobs.record_failure(node, database, doorbell, chunk, outage)
        row = fresh(database, chunk)
        assert (row.state, row.attempt, row.failures, row.worker) == ("queued", 2, 0, None)

    def test_counts_as_failed_a_day_after_the_order(
        self, node: WorkerContext, database: Database, doorbell: Doorbell, chunk: ClaimedChunk
    ) -> None:
        """A render whose files can never be stored ends in an error that names the outage."""
        for _ in range(node.settings.attempts):
            with database.write() as db:
                retried = as_claimed(claimed(db, chunk))
            yesterday = replace(retried, created_at=now() - timedelta(hours=25))
            jobs.record_failure(node, database, doorbell, yesterday, NO_STORAGE)
        with database.read() as db:
            [render] = db.scalars(select(Render)).all()
        assert render.status == "error"
        assert str(render.error_message).startswith(NO_STORAGE.message)

    def test_does_not_block_other_chunks_when_it_is_repeated(
        self, node: WorkerContext, database: Database, doorbell: Doorbell, chunk: ClaimedChunk
    ) -> None:
        for _ in range(2):
            jobs.record_failure(node, database, doorbell, chunk, NO_STORAGE)
            with database.write() as db:
                other = leases.claim_next(db, CLAIMANT, seconds=30)
                assert other
                assert other.id != chunk.id
                chunk = as_claimed(claimed(db, chunk))


class TestNode:
    def test_pauses_after_an_outage(self, node: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = node.settings.model_copy(update={"database_url": "postgresql://127.0.0.1:1/closed-port"})
        monkeypatch.setattr(
            "farm.worker.context._current", WorkerContext("w", settings, "cycles", node.blender_socket, node.scratch)
        )
        monkeypatch.setattr(jobs, "OUTAGE_PAUSE_SECONDS", 0.5)
        monkeypatch.setattr(jobs, "die_with_parent", lambda _: None)  # this process is not a work-horse
        began = time.monotonic()
        with structlog.testing.capture_logs() as lines:
            jobs.work()
        assert time.monotonic() - began > 0.5
        [line] = lines
        assert line["event"] == "work_interrupted"
        assert "exc_info" not in line
        assert "\n" not in line["error"]


class TestSlowStorage:
    @pytest.fixture
    def storage_kind(self) -> str:
        return "s3"

    def test_does_not_cost_the_lease(
        self,
        settings: Settings,
        database: Database,
        doorbell: Doorbell,
        chunk: ClaimedChunk,
        s3_door: s3.Door,
        tmp_path: Path,
    ) -> None:
        """Storing a file takes longer than the lease lasts."""
        file = tmp_path / "video.mp4"
        file.write_bytes(b"moov")
        lease = Lease(database, doorbell, chunk, 1.0, lambda _: None)
        with lease.publishing():
            pass  # renews the lease for a second
        s3_door.slow = 3.0
        key = f"renders/{chunk.shot_id}/1/video.mp4"
        with publishing.stored(open_storage(settings), lease, {key: file}), database.read() as db:
            assert chunks.expired(db) == []


def fresh(database: Database, chunk: ClaimedChunk) -> Chunk:
    with database.read() as db:
        return db.get_one(Chunk, chunk.id)
