"""Who may work on a chunk, and what becomes of it when they fail."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from farm import leases
from farm.db.session import Database
from farm.db.tables import Chunk, Render
from farm.errors import BadModel, BlenderCrashed

pytestmark = pytest.mark.on_both_databases


@pytest.fixture
def db(database: Database) -> Iterator[Session]:
    with database.write() as session:
        yield session


@pytest.fixture
def chunk(database: Database, render: Render) -> Chunk:
    with database.read() as db:
        return db.scalars(select(Chunk).where(Chunk.shot_id == render.shot_id)).one()


def fresh(db: Session, chunk: Chunk) -> Chunk:
    return db.get_one(Chunk, chunk.id, populate_existing=True)


def claim(db: Session, chunk: Chunk, *, attempt: int = 1, seconds: float = 30) -> bool:
    return leases.claim(db, chunk.id, attempt, worker="w", seconds=seconds)


class TestClaim:
    def test_is_given_once(self, db: Session, chunk: Chunk) -> None:
        assert claim(db, chunk)
        assert not claim(db, chunk)

    def test_is_given_to_one_of_many_who_ask_at_once(self, database: Database, chunk: Chunk) -> None:
        def ask(_: int) -> bool:
            with database.write() as db:
                return claim(db, chunk)

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))).count(True) == 1

    def test_is_given_for_the_current_attempt_alone(self, db: Session, chunk: Chunk) -> None:
        assert not claim(db, chunk, attempt=2)
        assert not leases.claim(db, "nothing", 1, worker="w", seconds=30)


class TestFencing:
    """Who lost the claim can neither keep, nor end, nor give back the chunk."""

    def test_a_late_worker_is_refused(self, db: Session, chunk: Chunk) -> None:
        claim(db, chunk)
        assert leases.fail(db, chunk.id, 1, BlenderCrashed(), attempts=3)
        assert claim(db, chunk, attempt=2)
        assert not leases.renew(db, chunk.id, 1, frames_done=9, seconds=30)
        assert not leases.complete(db, chunk.id, 1, frames_done=9)
        assert leases.fail(db, chunk.id, 1, BlenderCrashed(), attempts=3) is None
        row = fresh(db, chunk)
        assert (row.state, row.attempt, row.failures, row.frames_done) == ("running", 2, 1, 0)

    def test_a_finished_chunk_stays_finished(self, db: Session, chunk: Chunk) -> None:
        claim(db, chunk)
        assert leases.complete(db, chunk.id, 1, frames_done=chunk.frames)
        assert not leases.complete(db, chunk.id, 1, frames_done=1)
        assert leases.fail(db, chunk.id, 1, BlenderCrashed(), attempts=1) is None
        assert fresh(db, chunk).frames_done == chunk.frames


class TestFail:
    def test_gives_another_attempt_until_there_were_enough(self, db: Session, chunk: Chunk, render: Render) -> None:
        for attempt in (1, 2):
            again = leases.fail(db, chunk.id, attempt, BlenderCrashed(), attempts=3)
            assert again is not None
            assert (again.state, again.attempt) == ("queued", attempt + 1)
            db.flush()
        assert leases.fail(db, chunk.id, 3, BlenderCrashed(), attempts=3) is None
        row = db.get_one(Render, render.id)
        assert (row.status, row.error_message) == ("error", f"{BlenderCrashed.default} (3 attempts)")

    def test_a_fault_of_the_model_ends_it_at_once(self, db: Session, chunk: Chunk, render: Render) -> None:
        claim(db, chunk)
        assert leases.fail(db, chunk.id, 1, BadModel("The model holds no mesh"), attempts=3) is None
        assert db.get_one(Render, render.id).error_message == "The model holds no mesh"
        assert fresh(db, chunk).state == "failed"


class TestReap:
    def test_takes_back_what_a_silent_worker_holds(self, db: Session, chunk: Chunk) -> None:
        claim(db, chunk, seconds=-1)
        (waiting,) = leases.reap(db, attempts=3)
        assert (waiting.id, waiting.attempt, waiting.failures, waiting.worker) == (chunk.id, 2, 1, None)

    def test_leaves_a_busy_worker_alone(self, db: Session, chunk: Chunk) -> None:
        claim(db, chunk)
        assert leases.reap(db, attempts=3) == []

    def test_lists_all_that_wait_so_that_a_lost_ring_is_mended(self, db: Session, chunk: Chunk) -> None:
        assert [row.id for row in leases.reap(db, attempts=3)] == [chunk.id]


class TestRelease:
    def test_costs_no_attempt_of_the_allowed_ones(self, db: Session, chunk: Chunk) -> None:
        claim(db, chunk)
        (row,) = leases.release(db, worker="w")
        assert (row.state, row.attempt, row.failures) == ("queued", 2, 0)

    def test_gives_back_nothing_of_another_worker(self, db: Session, chunk: Chunk) -> None:
        claim(db, chunk)
        assert leases.release(db, worker="other") == []
