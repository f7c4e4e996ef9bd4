"""Which failures quarantine a node, and which do not."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import Model, now
from farm.errors import BadModel, BadTemplate, BlenderCrashed, EncodingFailed, RenderFailed, WorkerLost
from farm.nodes import quarantine, registry
from farm.nodes.facts import Facts
from farm.nodes.quarantine import MAX_FAILED_MODELS, WINDOW

pytestmark = pytest.mark.on_both_databases


@pytest.fixture
def joined(database: Database, cpu: Facts) -> Database:
    """The database of a farm with two nodes, cpu and other."""
    registry.join(database, cpu)
    registry.join(database, replace(cpu, name="other"))
    return database


@pytest.fixture
def db(joined: Database) -> Iterator[Session]:
    with joined.write() as session:
        yield session


def fail(
    db: Session, *models: str, node: str = "cpu", account: str = "one", error: BaseException | None = None
) -> None:
    for sha256 in models:
        quarantine.record_failure(db, node, Model(sha256=sha256, account_id=account), error or RenderFailed("why"))
        db.flush()


def quarantined(db: Session, node: str = "cpu") -> bool:
    db.expire_all()
    return nodes.named(db, node).quarantined_at is not None


MANY = [f"model{number}" for number in range(MAX_FAILED_MODELS)]


class TestQuarantine:
    @pytest.mark.parametrize("error", [BlenderCrashed(), EncodingFailed(), WorkerLost(), RenderFailed("no memory")])
    def test_follows_failures_of_several_models_with_a_reason(self, db: Session, error: RenderFailed) -> None:
        fail(db, *MANY[:-1], error=error)
        assert not quarantined(db)
        fail(db, MANY[-1], error=error)
        assert quarantined(db)
        reason = nodes.named(db, "cpu").quarantine_reason
        assert reason
        assert error.message in reason
        assert str(MAX_FAILED_MODELS) in reason
        assert not quarantined(db, "other")

    def test_follows_a_full_disk(self, db: Session) -> None:
        fail(db, *MANY, error=OSError(errno.ENOSPC, "No space left on device"))
        assert quarantined(db)

    def test_starts_counting_again_after_resume(self, db: Session) -> None:
        fail(db, *MANY)
        registry.resume(db, "cpu")
        fail(db, "another")
        assert not quarantined(db)


class TestNoQuarantine:
    def test_ignores_repeated_failures_of_one_model(self, db: Session) -> None:
        fail(db, *["same"] * 10)
        assert not quarantined(db)

    def test_ignores_models_that_fail_on_every_node(self, joined: Database) -> None:
        for model in ("bad1", "bad2", "bad3", "bad4"):
            with joined.write() as db:
                fail(db, model, node="other")
                registry.record_success(db, "other", "a chunk", 7)
            with joined.write() as db:
                fail(db, model)
        with joined.read() as db:
            assert not quarantined(db)
            assert not quarantined(db, "other")

    def test_ignores_failures_before_a_success(self, joined: Database) -> None:
        with joined.write() as db:
            fail(db, *MANY[:-1])
            registry.record_success(db, "cpu", "a chunk", None)
        with joined.write() as db:
            fail(db, MANY[-1])
            assert not quarantined(db)

    def test_ignores_failures_that_are_far_apart(self, db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        began = now()
        for number, model in enumerate(MANY):
            monkeypatch.setattr(
                quarantine, "now", lambda number=number: began + number * (WINDOW / 2 + timedelta(1e-4))
            )
            fail(db, model)
        assert not quarantined(db)

    @pytest.mark.parametrize(
        "error", [BadModel(), BadTemplate(), ConnectionError("storage"), TimeoutError(), ValueError("a defect of ours")]
    )
    def test_ignores_errors_that_are_not_the_nodes_fault(self, db: Session, error: BaseException) -> None:
        fail(db, *MANY, error=error)
        assert not quarantined(db)
