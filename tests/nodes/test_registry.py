"""The registry: how nodes join, their assignments and states, and the commands of operators."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis
from sqlalchemy import text
from sqlalchemy.orm import Session

from farm.db import clock, nodes
from farm.db.chunks import DRAWING, FINISHING, PREVIEW
from farm.db.session import Database
from farm.db.tables import Account, Model, Node, Render, Shot, now
from farm.errors import Conflict, NodeRefused, NotFound
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.nodes.registry import Assignment
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, submit
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant
from farm.settings import Settings
from tests.support.chunks import claimed
from tests.support.clients import Client

pytestmark = pytest.mark.on_both_databases

ALL = Assignment((FINISHING, PREVIEW, DRAWING), drain=False)
NO_DRAWING = Assignment((FINISHING, PREVIEW), drain=False)


@pytest.fixture
def db(database: Database) -> Iterator[Session]:
    with database.write() as session:
        yield session


@pytest.fixture
def render(database: Database, client: Client, settings: Settings, doorbell: Doorbell) -> Render:
    with database.write() as db:
        model = Model(account_id=client.account.id, original_name="a.glb", format="glb", file_size=1, sha256="0" * 64)
        db.add(model)
        db.flush()
        return submit.render(db, model, RenderSettings(), settings, doorbell)


@pytest.fixture
def doorbell(redis: Redis) -> Doorbell:
    return Doorbell(redis)


def expire(db: Session, facts: Facts) -> None:
    """Set the node's last heartbeat to a minute ago."""
    nodes.named(db, facts.name).seen_at = now() - timedelta(minutes=1)
    db.flush()


def state(db: Session, name: str) -> str:
    [(node, chunk)] = [row for row in nodes.every(db) if row[0].name == name]
    return registry.state(node, chunk, clock.now(db))


class TestCheckVersion:
    def test_accepts_the_version_of_this_code(self, database: Database) -> None:
        registry.check_version(database)

    def test_asks_to_update_a_node_older_than_the_database(self, database: Database) -> None:
        with database.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(NodeRefused, match=r"9999.*update Plinth on this machine"):
            registry.check_version(database)

    def test_asks_to_upgrade_an_empty_database(self, settings: Settings) -> None:
        empty = Database(settings.database)
        with pytest.raises(NodeRefused, match="`farm db upgrade`"):
            registry.check_version(empty)
        empty.close()


class TestJoin:
    def test_registers_the_node_with_its_facts(self, database: Database, gpu: Facts) -> None:
        assert registry.join(database, replace(gpu, tags=["studio", "big"]))
        with database.read() as db:
            node = nodes.named(db, "gpu")
            assert (node.engine, node.gpu, node.memory, node.tags) == ("eevee", "A card", 2**34, ["studio", "big"])
            assert nodes.is_alive(node, clock.now(db))

    def test_replaces_a_dead_node_of_the_same_machine_at_once(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        registry.join(database, replace(cpu, memory=1))
        with database.read() as db:
            assert [node.memory for node in nodes.alive(db)] == [1]

    def test_refuses_the_name_of_a_live_node_on_another_machine(
        self, database: Database, cpu: Facts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.join(database, cpu)
        self._send_heartbeats_while_waiting(database, cpu, monkeypatch)
        with pytest.raises(NodeRefused, match="--name"):
            registry.join(database, replace(cpu, machine="elsewhere"))

    def test_refuses_a_node_with_other_drawing_code(
        self, database: Database, cpu: Facts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.join(database, cpu)
        self._send_heartbeats_while_waiting(database, cpu, monkeypatch)
        with pytest.raises(NodeRefused, match=r"cpu draws with another version .*0\.1\.0.*0\.2\.0"):
            registry.join(database, replace(cpu, name="new", plinth_version="0.2.0", drawing_code="other"))

    def test_waits_until_a_conflicting_node_expires(
        self, database: Database, cpu: Facts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.join(database, cpu)

        def expire_node(_: float) -> None:
            with database.write() as db:
                expire(db, cpu)

        monkeypatch.setattr("time.sleep", expire_node)
        assert registry.join(database, replace(cpu, machine="elsewhere"))

    def test_lets_only_the_process_that_joined_leave(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        elsewhere = replace(cpu, machine="elsewhere")
        next_start = replace(cpu, started_at=cpu.started_at + timedelta(seconds=1))
        with database.write() as db:
            registry.drain(db, "cpu")
            for other in (elsewhere, next_start):
                assert not registry.has_joined(db, other)
                registry.leave(db, other)
            assert state(db, "cpu") == "draining"
            assert registry.has_joined(db, cpu)
            registry.leave(db, cpu)
            assert state(db, "cpu") == "drained"

    def test_ends_a_process_whose_name_another_has_taken(self, database: Database, cpu: Facts) -> None:
        """It was suspended for longer than a heartbeat may be missed."""
        registry.join(database, cpu)
        with database.write() as db:
            expire(db, cpu)
        registry.join(database, replace(cpu, machine="elsewhere", memory=1))
        with database.write() as db:
            expire(db, cpu)
            with pytest.raises(NodeRefused, match="Another worker has joined as cpu"):
                registry.heartbeat(db, cpu)
        with database.read() as db:
            assert nodes.alive(db) == [], "it does not keep the other's row alive"

    def test_does_not_register_a_drained_node(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            registry.drain(db, "cpu")
            registry.leave(db, cpu)
        assert not registry.join(database, cpu)
        with database.read() as db:
            assert state(db, "cpu") == "drained"

    @staticmethod
    def _send_heartbeats_while_waiting(database: Database, facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
        def send_heartbeat(_: float) -> None:
            with database.write() as db:
                registry.heartbeat(db, facts)

        monkeypatch.setattr("time.sleep", send_heartbeat)


class TestAssignment:
    def test_gives_a_cpu_node_all_work_if_there_is_no_gpu(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            assert registry.heartbeat(db, cpu) == ALL
            assert registry.claimant(db, "cpu") == Claimant("cpu", "cycles", draws=True)

    def test_gives_a_cpu_node_beside_a_gpu_no_drawing(self, database: Database, cpu: Facts, gpu: Facts) -> None:
        registry.join(database, gpu)
        registry.join(database, cpu)
        with database.write() as db:
            assert registry.heartbeat(db, cpu) == NO_DRAWING
            assert registry.claimant(db, "cpu") == Claimant("cpu", "cycles", draws=False)
            assert registry.heartbeat(db, gpu) == ALL
            assert nodes.count_drawing(db) == 1

    def test_gives_all_work_to_a_cpu_node_that_always_draws(self, database: Database, cpu: Facts, gpu: Facts) -> None:
        registry.join(database, gpu)
        always = replace(cpu, always_draws=True)
        registry.join(database, always)
        with database.write() as db:
            assert registry.heartbeat(db, always) == ALL

    @pytest.mark.parametrize("lost", ["expired", "drained", "quarantined", "checking", "left"])
    def test_gives_a_cpu_node_all_work_once_the_gpu_accepts_none(
        self, database: Database, cpu: Facts, gpu: Facts, lost: str
    ) -> None:
        registry.join(database, gpu)
        registry.join(database, cpu)
        with database.write() as db:
            node = nodes.named(db, "gpu")
            if lost == "expired":
                expire(db, gpu)
            elif lost == "drained":
                registry.drain(db, "gpu")
            elif lost == "quarantined":
                node.quarantined_at = now()
            elif lost == "checking":
                node.check_due_at = now()
            else:
                registry.leave(db, gpu)
            db.flush()
            assert registry.heartbeat(db, cpu) == ALL
            assert nodes.count_drawing(db) == 1

    def test_lets_a_cpu_node_complete_the_shots_of_its_engine(
        self, database: Database, cpu: Facts, gpu: Facts, render: Render
    ) -> None:
        """No other engine may draw them, so that they would never be completed."""
        registry.join(database, cpu)
        with database.write() as db:
            claimant = registry.claimant(db, "cpu")
            assert claimant
            assert leases.claim_next(db, claimant, seconds=30)
        registry.join(database, gpu)
        with database.write() as db:
            assert registry.heartbeat(db, cpu) == ALL
            claimant = registry.claimant(db, "cpu")
            assert claimant == Claimant("cpu", "cycles", draws=False)
            following = leases.claim_next(db, claimant, seconds=30)
            assert following
            assert following.shot_id == render.shot_id
            for chunk in db.get_one(Shot, following.shot_id).chunks:
                chunk.state = "done"
            db.flush()
            assert registry.heartbeat(db, cpu) == NO_DRAWING

    def test_wakes_no_node_for_the_shots_of_a_suspended_account(
        self, database: Database, cpu: Facts, gpu: Facts, render: Render
    ) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            claimant = registry.claimant(db, "cpu")
            assert claimant
            assert leases.claim_next(db, claimant, seconds=30)
        registry.join(database, gpu)
        with database.write() as db:
            account = db.get_one(Account, render.account_id)
            account.suspended_at = now()
            assert registry.heartbeat(db, cpu) == NO_DRAWING
            account.suspended_at = None
            assert registry.heartbeat(db, cpu) == ALL

    def test_ends_a_drained_node(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            registry.drain(db, "cpu")
            assert registry.heartbeat(db, cpu) == Assignment((), drain=True)
            assert registry.claimant(db, "cpu") is None

    @pytest.mark.parametrize("column", ["drain_at", "quarantined_at"])
    def test_lets_a_node_claim_no_chunk_until_it_is_resumed(self, database: Database, cpu: Facts, column: str) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            setattr(nodes.named(db, "cpu"), column, now())
            db.flush()
            assert registry.claimant(db, "cpu") is None
            registry.resume(db, "cpu")
            assert registry.claimant(db, "cpu") is not None

    def test_ends_a_node_whose_tables_were_upgraded(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            assert registry.heartbeat(db, cpu) == Assignment((), drain=True, outdated=True)
            registry.drain(db, "cpu")
            assert registry.heartbeat(db, cpu) == Assignment((), drain=True), "the node was drained before"

    def test_gives_a_quarantined_node_no_work(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            nodes.named(db, "cpu").quarantined_at = now()
            assert registry.heartbeat(db, cpu) == Assignment((), drain=False)
            assert registry.claimant(db, "cpu") is None
            assert state(db, "cpu") == "quarantined"

    def test_registers_a_forgotten_node_again(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            expire(db, cpu)
            registry.forget(db, "cpu")
        with database.write() as db:
            assert registry.heartbeat(db, cpu) == ALL
            assert state(db, "cpu") == "idle"


class TestState:
    def test_is_working_or_draining_with_a_chunk(self, database: Database, cpu: Facts, render: Render) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            claimed(db, db.get_one(Render, render.id).shot.chunks[0], worker="cpu")
            assert state(db, "cpu") == "working"
            registry.drain(db, "cpu")
            assert state(db, "cpu") == "draining"

    def test_lists_a_killed_node_as_gone_but_not_one_that_left(
        self, database: Database, cpu: Facts, gpu: Facts
    ) -> None:
        registry.join(database, cpu)
        registry.join(database, gpu)
        with database.write() as db:
            expire(db, cpu)
            registry.leave(db, gpu)
        with database.read() as db:
            assert [(node.name, state(db, node.name)) for node, _ in nodes.every(db)] == [("cpu", "gone")]

    def test_is_checking_until_its_check_has_ended(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            nodes.named(db, "cpu").check_due_at = now()
            db.flush()
            assert state(db, "cpu") == "checking"
            registry.resume(db, "cpu")
            assert state(db, "cpu") == "idle"


class TestOperators:
    def test_forgets_only_a_node_that_is_gone(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            with pytest.raises(Conflict, match="alive"):
                registry.forget(db, "cpu")
            expire(db, cpu)
            registry.forget(db, "cpu")
            assert db.query(Node).all() == []

    def test_refuses_an_unknown_name(self, db: Session) -> None:
        for change in (registry.drain, registry.resume, registry.forget):
            with pytest.raises(NotFound, match="farm nodes list"):
                change(db, "unknown")

    def test_lifts_drain_and_quarantine_on_resume(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            node = registry.drain(db, "cpu")
            node.quarantined_at, node.quarantine_reason = now(), "broken"
            registry.resume(db, "cpu")
            assert registry.heartbeat(db, cpu) == ALL
            assert node.quarantine_reason is None
