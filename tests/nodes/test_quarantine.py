"""Which failures make a node check itself, what its check decides, and which models are refused for good."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from farm.db import clock, nodes, suspect_models
from farm.db.session import Database
from farm.db.suspect_models import MAX_HOSTS
from farm.db.tables import Model, SuspectModel
from farm.errors import (
    BadModel,
    BadTemplate,
    BlenderCrashed,
    BlenderTimeout,
    EncodingFailed,
    OpeningTimeout,
    OverBudget,
    RenderFailed,
    WorkerLost,
)
from farm.nodes import quarantine, registry
from farm.nodes.facts import Facts
from farm.nodes.quarantine import CHECK_INTERVAL, MAX_FAILED_MODELS, WINDOW
from farm.nodes.registry import Assignment

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


def fail_quickly(db: Session, model: str, seconds: float = 1) -> None:
    claimed_at = clock.now(db) - timedelta(seconds=seconds)
    row = Model(sha256=model, account_id="one")
    quarantine.record_failure(db, "cpu", row, EncodingFailed(), claimed_at)
    db.flush()


def is_due(db: Session, node: str = "cpu") -> bool:
    db.expire_all()
    return nodes.named(db, node).check_due_at is not None


def check(db: Session, error: str | None = None) -> None:
    """A check of the node that ends with `error`."""
    assert quarantine.begin_check(db, "cpu")
    db.flush()
    quarantine.end_check(db, "cpu", error)
    db.flush()


MANY = [f"model{number}" for number in range(MAX_FAILED_MODELS)]


class TestCheckDue:
    @pytest.mark.parametrize("error", [EncodingFailed(), WorkerLost(), RenderFailed("no memory"), OverBudget(1, 1)])
    def test_follows_failures_of_several_models(self, db: Session, error: RenderFailed) -> None:
        fail(db, *MANY[:-1], error=error)
        assert not is_due(db)
        fail(db, MANY[-1], error=error)
        assert is_due(db)
        assert not is_due(db, "other")

    def test_follows_a_full_disk(self, db: Session) -> None:
        fail(db, *MANY, error=OSError(errno.ENOSPC, "No space left on device"))
        assert is_due(db)

    @pytest.mark.parametrize("error", [BlenderCrashed(), BlenderTimeout(), OpeningTimeout(1)])
    def test_follows_two_blenders_that_ended_with_one_model(self, db: Session, error: RenderFailed) -> None:
        fail(db, "model", error=error)
        assert not is_due(db)
        fail(db, "model", node="other", error=error)
        assert (is_due(db), is_due(db, "other")) == (False, True), "a sound node tells whose fault it is"

    def test_follows_two_attempts_in_a_row_that_fail_quickly(self, joined: Database) -> None:
        with joined.write() as db:
            fail_quickly(db, "a model")
            registry.record_success(db, "cpu", "a chunk", None)
            fail_quickly(db, "a model")
            assert not is_due(db)
            fail_quickly(db, "a model")
            assert is_due(db)
            check(db)
            fail_quickly(db, "a model")
            assert not is_due(db), "it begins to count again"

    def test_does_not_follow_two_attempts_that_failed_after_a_while(self, db: Session) -> None:
        for _ in range(2):
            fail_quickly(db, "a model", seconds=40)
        assert not is_due(db)

    def test_starts_counting_again_after_resume(self, db: Session) -> None:
        fail(db, *MANY)
        registry.resume(db, "cpu")
        fail(db, "another")
        assert not is_due(db)

    def test_ignores_repeated_failures_of_one_model(self, db: Session) -> None:
        fail(db, *["same"] * 10)
        assert not is_due(db)

    def test_ignores_models_that_fail_on_every_node(self, joined: Database) -> None:
        for model in ("bad1", "bad2", "bad3", "bad4"):
            with joined.write() as db:
                fail(db, model, node="other")
                registry.record_success(db, "other", "a chunk", 7)
            with joined.write() as db:
                fail(db, model)
        with joined.read() as db:
            assert not is_due(db)
            assert not is_due(db, "other")

    def test_ignores_failures_before_a_success(self, joined: Database) -> None:
        with joined.write() as db:
            fail(db, *MANY[:-1])
            registry.record_success(db, "cpu", "a chunk", None)
        with joined.write() as db:
            fail(db, MANY[-1])
            assert not is_due(db)

    def test_ignores_failures_that_are_far_apart(self, db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        began = clock.now(db)
        for number, model in enumerate(MANY):
            at = began + number * (WINDOW / 2 + timedelta(seconds=1))
            monkeypatch.setattr(clock, "now", lambda _, at=at: at)
            fail(db, model)
        assert not is_due(db)

    @pytest.mark.parametrize(
        "error", [BadModel(), BadTemplate(), ConnectionError("storage"), TimeoutError(), ValueError("a defect of ours")]
    )
    def test_ignores_errors_that_are_not_the_nodes_fault(self, db: Session, error: BaseException) -> None:
        fail(db, *MANY, error=error)
        assert not is_due(db)


class TestCheck:
    def test_is_assigned_before_any_work(self, db: Session, cpu: Facts) -> None:
        fail(db, *MANY)
        assert registry.heartbeat(db, cpu) == Assignment((), drain=False, check=True)
        assert registry.claimant(db, "cpu") is None

    def test_is_still_due_after_a_restart(self, joined: Database, cpu: Facts) -> None:
        with joined.write() as db:
            fail(db, *MANY)
            registry.leave(db, cpu)
        with joined.read() as db:
            assert [node.name for node in nodes.alive(db)] == ["other"]
        registry.join(joined, cpu)
        with joined.write() as db:
            assert registry.heartbeat(db, cpu).check
            check(db, "no GPU")
            assert f"failed here in a row before: {MAX_FAILED_MODELS} " in str(nodes.named(db, "cpu").quarantine_reason)

    def test_has_not_begun_when_it_is_only_due(self, db: Session) -> None:
        fail(db, *MANY)
        assert not quarantine.is_being_checked(db, "cpu")
        assert quarantine.begin_check(db, "cpu")
        db.flush()
        assert quarantine.is_being_checked(db, "cpu")

    def test_lets_a_sound_node_work_again(self, db: Session, cpu: Facts) -> None:
        """No number of bad models quarantines a node that draws a good one."""
        for _ in range(3):
            fail(db, *MANY)
            check(db)
        assert nodes.named(db, "cpu").quarantined_at is None
        assert registry.heartbeat(db, cpu).priorities
        assert registry.claimant(db, "cpu")

    def test_quarantines_a_faulty_node_with_a_reason(self, db: Session, cpu: Facts) -> None:
        for number, model in enumerate(MANY):
            fail(db, model, account=f"account{number % 2}")
        check(db, "no GPU")
        node = nodes.named(db, "cpu")
        assert node.quarantine_reason == (
            "This node does not draw its test model: no GPU."
            f" Models that failed here in a row before: {MAX_FAILED_MODELS} (accounts: 2), the last one with: why"
        )
        assert registry.heartbeat(db, cpu) == Assignment((), drain=False), "the next check comes later"
        assert registry.claimant(db, "cpu") is None

    def test_is_repeated_and_lifts_the_quarantine(
        self, db: Session, cpu: Facts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail(db, *MANY)
        check(db, "no GPU")
        assert not quarantine.begin_check(db, "cpu")
        later = clock.now(db) + CHECK_INTERVAL
        monkeypatch.setattr(clock, "now", lambda _: later)
        assert registry.heartbeat(db, cpu).check
        check(db)
        assert nodes.named(db, "cpu").quarantine_reason is None
        assert registry.heartbeat(db, cpu).priorities

    def test_is_lifted_by_resume(self, db: Session, cpu: Facts) -> None:
        fail(db, *MANY)
        check(db, "no GPU")
        registry.resume(db, "cpu")
        assert registry.heartbeat(db, cpu).priorities


class TestRefusedModel:
    def test_has_ended_two_blenders_on_a_sound_node(self, db: Session) -> None:
        fail(db, *["bad"] * MAX_HOSTS, error=BlenderCrashed())
        assert suspect_models.refused(db, ["bad"], "one") is None, "the node may be at fault"
        check(db)
        assert suspect_models.refused(db, ["good", "bad"], "one")
        assert suspect_models.refused(db, ["good"], "one") is None

    @pytest.mark.parametrize("second", ["one", "two"])
    @pytest.mark.parametrize("error", [BlenderTimeout(), OpeningTimeout(1)])
    def test_is_refused_to_all_only_if_two_accounts_met_it(self, db: Session, second: str, error: RenderFailed) -> None:
        """The settings of one account may make a frame too slow."""
        fail(db, "shared", error=error)
        fail(db, "shared", account=second, error=error)
        check(db)
        assert suspect_models.refused(db, ["shared"], "one")
        assert bool(suspect_models.refused(db, ["shared"], "three")) == (second == "two")

    def test_is_refused_to_all_once_another_account_meets_it(self, db: Session) -> None:
        fail(db, *["shared"] * MAX_HOSTS, error=BlenderTimeout())
        check(db)
        assert suspect_models.refused(db, ["shared"], "three") is None
        fail(db, "shared", account="two", error=BlenderTimeout())
        assert suspect_models.refused(db, ["shared"], "three")

    def test_is_none_of_those_that_failed_on_a_faulty_node(self, db: Session) -> None:
        for model in MANY:
            fail(db, *[model] * MAX_HOSTS, error=BlenderTimeout())
        check(db, "no GPU")
        assert db.query(SuspectModel).count() == 0

    def test_has_not_been_drawn_between_its_failures(self, db: Session) -> None:
        fail(db, "model", error=BlenderCrashed())
        suspect_models.clear(db, ["model"])
        fail(db, "model", error=BlenderCrashed())
        assert not is_due(db)

    def test_stays_refused(self, db: Session) -> None:
        fail(db, *["bad"] * MAX_HOSTS, error=BlenderCrashed())
        check(db)
        suspect_models.clear(db, ["bad"])
        assert suspect_models.refused(db, ["bad"], "one")

    def test_is_forgotten_when_many_others_follow(self, db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(suspect_models, "MAX_ROWS", 3)
        for number in range(10):
            suspect_models.record(db, f"{number}", "why")
        assert {row.sha256 for row in db.query(SuspectModel)} == {"7", "8", "9"}
