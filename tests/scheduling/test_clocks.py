"""Machines whose clocks are off by an hour: leases, heartbeats and due times go by the database's clock alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from farm.db import cleanups, clock, nodes, statistics, tables
from farm.db.session import Database
from farm.db.tables import Chunk, Render
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.scheduling import leases, reaper, render_status
from farm.scheduling.cleanup import clean_up
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant
from farm.settings import Settings
from farm.storage import Storage

pytestmark = pytest.mark.on_both_databases

OFFSETS = [pytest.param(timedelta(hours=hours), id=f"{hours:+d} h") for hours in (1, -1)]


@contextmanager
def clock_off_by(offset: timedelta) -> Iterator[None]:
    """This process's clock, by which Python code tells the time, is off while the block runs."""

    class OffClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + offset

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "datetime", OffClock)
        assert abs(tables.now() - datetime.now(UTC) - offset) < timedelta(seconds=1)
        yield


def state_of(database: Database, chunk_id: str) -> str:
    with database.read() as db:
        return db.get_one(Chunk, chunk_id).state


@pytest.mark.parametrize("offset", OFFSETS)
class TestClockThatIsOff:
    @pytest.mark.usefixtures("render")
    def test_of_a_reaper_ends_no_valid_lease(
        self, database: Database, doorbell: Doorbell, settings: Settings, offset: timedelta
    ) -> None:
        with database.write() as db:
            chunk = leases.claim_next(db, Claimant("w", "cycles"), seconds=30)
        assert chunk
        with clock_off_by(offset):
            reaper.reap(database, doorbell, settings)
        assert state_of(database, chunk.id) == "running"

    @pytest.mark.usefixtures("render")
    def test_of_a_worker_neither_shortens_nor_extends_its_lease(
        self, database: Database, doorbell: Doorbell, settings: Settings, offset: timedelta
    ) -> None:
        with clock_off_by(offset), database.write() as db:
            chunk = leases.claim_next(db, Claimant("w", "cycles"), seconds=30)
            assert chunk
            assert leases.renew(db, chunk.id, 1, frames_done=0, seconds=30)
            left = db.get_one(Chunk, chunk.id, populate_existing=True).lease_until
            assert left
            assert abs(left - clock.now(db) - timedelta(seconds=30)) < timedelta(seconds=5)
        reaper.reap(database, doorbell, settings)
        assert state_of(database, chunk.id) == "running"
        with clock_off_by(offset), database.write() as db:
            assert leases.renew(db, chunk.id, 1, frames_done=0, seconds=-1)
        reaper.reap(database, doorbell, settings)
        assert state_of(database, chunk.id) == "queued"

    def test_of_a_node_is_recorded_and_keeps_it_alive(self, database: Database, cpu: Facts, offset: timedelta) -> None:
        with clock_off_by(offset):
            registry.join(database, cpu)
            with database.write() as db:
                registry.heartbeat(db, cpu)
        with database.read() as db:
            [node] = nodes.alive(db)
            assert registry.state(node, None, clock.now(db)) == "idle"
            assert node.clock_offset == pytest.approx(offset.total_seconds(), abs=5)
            assert nodes.engines_available(db) == {"cycles"}

    @pytest.mark.usefixtures("render")
    def test_of_an_observer_shows_nodes_and_leases_as_they_are(
        self, database: Database, cpu: Facts, offset: timedelta
    ) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            assert leases.claim_next(db, Claimant("w", "cycles"), seconds=30)
        with clock_off_by(offset), database.read() as db:
            assert [node.name for node in nodes.alive(db)] == ["cpu"]
            assert statistics.overdue_chunks(db) == 0

    def test_of_either_side_removes_no_file_early(
        self, database: Database, render: Render, storage: Storage, offset: timedelta
    ) -> None:
        key = f"{cleanups.folder(render.id)}late.mp4"
        storage.put(key, Path(__file__))
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, render.id), "error", message="why")
        with clock_off_by(offset):
            clean_up(database, storage)
        assert list(storage.keys(cleanups.folder(render.id))) == [key]
        with database.write() as db:
            db.query(tables.Cleanup).delete()
        with clock_off_by(offset), database.write() as db:
            cleanups.schedule(db, render.id)
        clean_up(database, storage)
        assert list(storage.keys(cleanups.folder(render.id))) == [key]
        with database.read() as db:
            due = db.scalars(select(tables.Cleanup.due_at)).one() - clock.now(db)
        assert abs(due - cleanups.RENDER_GRACE) < timedelta(seconds=5)
