"""When a chunk that has failed is tried again, and on which node."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from farm.db import attempt_logs, chunks, clock, nodes
from farm.db.chunks import DRAWING
from farm.db.session import Database
from farm.db.tables import Chunk, Model, Render
from farm.errors import BadModel, EncodingFailed
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, submit
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant, ClaimedChunk
from farm.settings import Settings

pytestmark = pytest.mark.on_both_databases


@pytest.fixture
def db(database: Database, cpu: Facts) -> Iterator[Session]:
    """The database of a farm with two nodes, sick and sound."""
    for name in ("sick", "sound"):
        registry.join(database, replace(cpu, name=name))
    with database.write() as session:
        yield session


@pytest.fixture
def render(db: Session, model: Model, settings: Settings, doorbell: Doorbell) -> Render:
    """A render of one chunk."""
    render = submit.render(db, db.merge(model), RenderSettings(), settings, doorbell)
    for other in render.shot.chunks[1:]:
        db.delete(other)
    db.flush()
    db.expire_all()
    return render


def claim(db: Session, worker: str) -> ClaimedChunk | None:
    return leases.claim_next(db, Claimant(worker, "cycles"), seconds=30)


def fail(
    db: Session, doorbell: Doorbell, chunk: ClaimedChunk | None, max_attempts: int = 3, retry_seconds: float = 0
) -> Chunk | None:
    assert chunk
    return leases.fail(
        db,
        doorbell,
        chunk.id,
        chunk.attempt,
        EncodingFailed(),
        max_attempts=max_attempts,
        retry_seconds=retry_seconds,
    )


@pytest.mark.usefixtures("render")
class TestPause:
    def test_doubles_with_each_failure(self, db: Session, doorbell: Doorbell, monkeypatch: pytest.MonkeyPatch) -> None:
        at = clock.now(db)
        for worker, pause in (("sick", 5), ("sound", 10), ("sick", 20)):
            monkeypatch.setattr(clock, "now", lambda _, at=at: at)
            retried = fail(db, doorbell, claim(db, worker), max_attempts=9, retry_seconds=5)
            assert retried
            assert retried.due_at == at + timedelta(seconds=pause)
            db.flush()
            assert claim(db, "sick") is claim(db, "sound") is None
            at += timedelta(seconds=pause)

    def test_wakes_no_worker(self, db: Session, doorbell: Doorbell) -> None:
        fail(db, doorbell, claim(db, "sick"), retry_seconds=60)
        db.flush()
        assert chunks.count_waiting(db, DRAWING, limit=9) == 0


class TestNode:
    @pytest.mark.usefixtures("render")
    def test_is_another_than_the_one_that_failed(self, db: Session, doorbell: Doorbell) -> None:
        fail(db, doorbell, claim(db, "sick"))
        assert claim(db, "sick") is None
        assert claim(db, "sound")

    @pytest.mark.usefixtures("render")
    @pytest.mark.parametrize("loss", ["gone", "drained", "quarantined", "of another engine"])
    def test_is_the_same_if_no_other_could_take_it(self, db: Session, doorbell: Doorbell, loss: str) -> None:
        fail(db, doorbell, claim(db, "sick"))
        other = nodes.named(db, "sound")
        match loss:
            case "gone":
                other.seen_at = clock.now(db) - timedelta(seconds=21)
            case "drained":
                registry.drain(db, "sound")
            case "quarantined":
                other.quarantined_at = clock.now(db)
            case _:
                other.engine, other.draws = "eevee", False
        db.flush()
        assert claim(db, "sick")

    @pytest.mark.usefixtures("render")
    def test_is_any_if_it_failed_on_all(self, db: Session, doorbell: Doorbell) -> None:
        for worker in ("sick", "sound"):
            fail(db, doorbell, claim(db, worker))
            db.flush()
        assert claim(db, "sick")

    def test_counts_as_tried_when_its_lease_expired(self, db: Session, render: Render, doorbell: Doorbell) -> None:
        held = leases.claim_next(db, Claimant("sick", "cycles"), seconds=-1)
        assert held
        assert leases.expire(db, doorbell, held.id, held.attempt, max_attempts=3)
        db.flush()
        assert claim(db, "sick") is None
        assert claim(db, "sound")
        [(_, [entry]), *_] = attempt_logs.of_render(db, render)
        assert (entry.worker, entry.outcome, entry.noticed_by) == ("sick", "expired", "reaper")

    def test_may_have_another_engine_while_nothing_is_drawn(
        self, db: Session, render: Render, doorbell: Doorbell
    ) -> None:
        held = leases.claim_next(db, Claimant("sick", "eevee"), seconds=30)
        fail(db, doorbell, held)
        db.flush()
        assert claim(db, "sound")
        assert render.shot.engine == "cycles"


class TestLastAttempt:
    def test_ends_no_render_because_of_one_node(self, db: Session, render: Render, doorbell: Doorbell) -> None:
        assert fail(db, doorbell, claim(db, "sick"), max_attempts=1)
        db.flush()
        assert fail(db, doorbell, claim(db, "sound"), max_attempts=1) is None
        assert render.status == "error"

    def test_ends_the_render_if_there_is_only_that_node(self, db: Session, render: Render, doorbell: Doorbell) -> None:
        registry.drain(db, "sound")
        db.flush()
        assert fail(db, doorbell, claim(db, "sick"), max_attempts=1) is None
        assert render.status == "error"

    def test_is_the_first_for_an_error_of_the_model(self, db: Session, render: Render, doorbell: Doorbell) -> None:
        held = claim(db, "sick")
        assert held
        assert leases.fail(db, doorbell, held.id, held.attempt, BadModel(), max_attempts=3) is None
        assert render.status == "error"
