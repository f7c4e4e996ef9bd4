"""How nodes join, what they are told to do, and what operators can make of them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis
from sqlalchemy import text
from sqlalchemy.orm import Session

from farm.db import nodes
from farm.db.chunks import DRAWING, URGENT
from farm.db.session import Database
from farm.db.tables import Model, Node, Render, Shot, now
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

ALL = Assignment((URGENT, DRAWING), drain=False)
URGENT_ALONE = Assignment((URGENT,), drain=False)


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


def silent(db: Session, facts: Facts) -> None:
    """Let the node have been heard of last a minute ago."""
    nodes.named(db, facts.name).seen_at = now() - timedelta(minutes=1)
    db.flush()


def state(db: Session, name: str) -> str:
    [(node, chunk)] = [row for row in nodes.every(db) if row[0].name == name]
    return registry.state(node, chunk)


class TestVersion:
    def test_of_this_code_is_let_in(self, database: Database) -> None:
        registry.check_version(database)

    def test_newer_in_the_database_is_told_to_update_the_node(self, database: Database) -> None:
        with database.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(NodeRefused, match=r"9999.*update Plinth on this node"):
            registry.check_version(database)

    def test_of_an_empty_database_is_told_to_upgrade_it(self, settings: Settings) -> None:
        empty = Database(settings.database)
        with pytest.raises(NodeRefused, match="`farm db upgrade`"):
            registry.check_version(empty)
        empty.close()


class TestJoin:
    def test_lists_the_node_with_all_that_it_is(self, database: Database, gpu: Facts) -> None:
        assert registry.join(database, replace(gpu, tags=["studio", "big"]))
        with database.read() as db:
            node = nodes.named(db, "gpu")
            assert (node.engine, node.gpu, node.memory, node.tags) == ("eevee", "A card", 2**34, ["studio", "big"])
            assert nodes.is_alive(node)

    def test_takes_the_place_of_a_dead_predecessor_of_the_same_machine_at_once(
        self, database: Database, cpu: Facts
    ) -> None:
        registry.join(database, cpu)
        registry.join(database, replace(cpu, memory=1))
        with database.read() as db:
            assert [node.memory for node in nodes.alive(db)] == [1]

    def test_is_refused_where_another_machine_has_a_live_node_of_that_name(
        self, database: Database, cpu: Facts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.join(database, cpu)
        self._beats_while_we_wait(database, cpu, monkeypatch)
        with pytest.raises(NodeRefused, match="--name"):
            registry.join(database, replace(cpu, machine="elsewhere"))

    def test_is_refused_beside_nodes_that_draw_with_another_version(
        self, database: Database, cpu: Facts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.join(database, cpu)
        self._beats_while_we_wait(database, cpu, monkeypatch)
        with pytest.raises(NodeRefused, match=r"cpu draws with another version .*0\.1\.0.*0\.2\.0"):
            registry.join(database, replace(cpu, name="new", plinth_version="0.2.0", drawing_code="other"))

    def test_waits_for_a_node_in_the_way_that_turns_out_to_be_gone(
        self, database: Database, cpu: Facts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.join(database, cpu)

        def falls_silent(_: float) -> None:
            with database.write() as db:
                silent(db, cpu)

        monkeypatch.setattr("time.sleep", falls_silent)
        assert registry.join(database, replace(cpu, machine="elsewhere"))

    def test_is_undone_by_nobody_but_the_one_who_joined(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        refused = replace(cpu, machine="elsewhere")
        next_start = replace(cpu, started_at=cpu.started_at + timedelta(seconds=1))
        with database.write() as db:
            registry.drain(db, "cpu")
            for stranger in (refused, next_start):
                assert not registry.has_joined(db, stranger)
                registry.leave(db, stranger)
            assert state(db, "cpu") == "draining"
            assert registry.has_joined(db, cpu)
            registry.leave(db, cpu)
            assert state(db, "cpu") == "drained"

    def test_is_not_for_a_drained_node(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            registry.drain(db, "cpu")
            registry.leave(db, cpu)
        assert not registry.join(database, cpu)
        with database.read() as db:
            assert state(db, "cpu") == "drained"

    @staticmethod
    def _beats_while_we_wait(database: Database, facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
        def beat(_: float) -> None:
            with database.write() as db:
                registry.heartbeat(db, facts)

        monkeypatch.setattr("time.sleep", beat)


class TestDuty:
    def test_of_a_cpu_node_is_everything_where_no_gpu_is(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            assert registry.heartbeat(db, cpu) == ALL
            assert registry.claimant(db, "cpu") == Claimant("cpu", "cycles", draws=True)

    def test_of_a_cpu_node_beside_a_gpu_is_what_is_urgent(self, database: Database, cpu: Facts, gpu: Facts) -> None:
        registry.join(database, gpu)
        registry.join(database, cpu)
        with database.write() as db:
            assert registry.heartbeat(db, cpu) == URGENT_ALONE
            assert registry.claimant(db, "cpu") == Claimant("cpu", "cycles", draws=False)
            assert registry.heartbeat(db, gpu) == ALL
            assert nodes.count_drawing(db) == 1

    def test_of_a_cpu_node_that_was_told_to_draw_is_everything(
        self, database: Database, cpu: Facts, gpu: Facts
    ) -> None:
        registry.join(database, gpu)
        stubborn = replace(cpu, always_draws=True)
        registry.join(database, stubborn)
        with database.write() as db:
            assert registry.heartbeat(db, stubborn) == ALL

    @pytest.mark.parametrize("lost", ["silent", "drained", "quarantined", "left"])
    def test_of_a_cpu_node_is_everything_again_once_the_gpu_takes_no_work(
        self, database: Database, cpu: Facts, gpu: Facts, lost: str
    ) -> None:
        registry.join(database, gpu)
        registry.join(database, cpu)
        with database.write() as db:
            node = nodes.named(db, "gpu")
            if lost == "silent":
                silent(db, gpu)
            elif lost == "drained":
                registry.drain(db, "gpu")
            elif lost == "quarantined":
                node.quarantined_at = now()
            else:
                registry.leave(db, gpu)
            db.flush()
            assert registry.heartbeat(db, cpu) == ALL

    def test_of_a_cpu_node_goes_on_with_what_its_engine_has_begun(
        self, database: Database, cpu: Facts, gpu: Facts, render: Render
    ) -> None:
        """No other engine may, so it would wait for ever."""
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
            again = leases.claim_next(db, claimant, seconds=30)
            assert again
            assert again.shot_id == render.shot_id
            for chunk in db.get_one(Shot, again.shot_id).chunks:
                chunk.state = "done"
            db.flush()
            assert registry.heartbeat(db, cpu) == URGENT_ALONE

    def test_of_a_drained_node_is_to_end(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            registry.drain(db, "cpu")
            assert registry.heartbeat(db, cpu) == Assignment((), drain=True)
            assert registry.claimant(db, "cpu") is None

    @pytest.mark.parametrize("column", ["drain_at", "quarantined_at"])
    def test_lets_a_node_claim_nothing_until_it_is_resumed(self, database: Database, cpu: Facts, column: str) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            setattr(nodes.named(db, "cpu"), column, now())
            db.flush()
            assert registry.claimant(db, "cpu") is None
            registry.resume(db, "cpu")
            assert registry.claimant(db, "cpu") is not None

    def test_of_a_node_whose_tables_were_upgraded_is_to_go(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            assert registry.heartbeat(db, cpu) == Assignment((), drain=True, outdated=True)
            registry.drain(db, "cpu")
            assert registry.heartbeat(db, cpu) == Assignment((), drain=True), "it was told to end before"

    def test_of_a_quarantined_node_is_to_live_and_do_nothing(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            nodes.named(db, "cpu").quarantined_at = now()
            assert registry.heartbeat(db, cpu) == Assignment((), drain=False)
            assert registry.claimant(db, "cpu") is None
            assert state(db, "cpu") == "quarantined"

    def test_is_given_to_a_node_that_was_forgotten_while_it_slept(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            silent(db, cpu)
            registry.forget(db, "cpu")
        with database.write() as db:
            assert registry.heartbeat(db, cpu) == ALL
            assert state(db, "cpu") == "idle"


class TestStates:
    def test_working_names_the_chunk(self, database: Database, cpu: Facts, render: Render) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            claimed(db, db.get_one(Render, render.id).shot.chunks[0], worker="cpu")
            assert state(db, "cpu") == "working"
            registry.drain(db, "cpu")
            assert state(db, "cpu") == "draining"

    def test_a_killed_node_is_gone_and_one_that_left_is_off_the_list(
        self, database: Database, cpu: Facts, gpu: Facts
    ) -> None:
        registry.join(database, cpu)
        registry.join(database, gpu)
        with database.write() as db:
            silent(db, cpu)
            registry.leave(db, gpu)
        with database.read() as db:
            assert [(node.name, registry.state(node, chunk)) for node, chunk in nodes.every(db)] == [("cpu", "gone")]


class TestOperators:
    def test_forget_a_node_that_is_gone_alone(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            with pytest.raises(Conflict, match="alive"):
                registry.forget(db, "cpu")
            silent(db, cpu)
            registry.forget(db, "cpu")
            assert db.query(Node).all() == []

    def test_are_told_of_a_name_that_is_none(self, db: Session) -> None:
        for change in (registry.drain, registry.resume, registry.forget):
            with pytest.raises(NotFound, match="farm nodes list"):
                change(db, "nobody")

    def test_resume_lifts_drain_and_quarantine(self, database: Database, cpu: Facts) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            node = registry.drain(db, "cpu")
            node.quarantined_at, node.quarantine_reason = now(), "broken"
            registry.resume(db, "cpu")
            assert registry.heartbeat(db, cpu) == ALL
            assert node.quarantine_reason is None
