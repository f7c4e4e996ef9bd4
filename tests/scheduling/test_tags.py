"""Work of accounts that are bound to a tag: which nodes take it, and that it never waits for others."""

from dataclasses import replace
from datetime import timedelta

import pytest

from farm.accounts import accounts
from farm.db import chunks, clock, nodes
from farm.db.chunks import DRAWING
from farm.db.session import Database
from farm.db.tables import Account, Chunk, Model, Render
from farm.errors import EncodingFailed
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, reaper, submit
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import ClaimedChunk
from farm.settings import Settings
from tests.support.clients import Client, new_client

pytestmark = pytest.mark.on_both_databases


def bind(database: Database, account_id: str, tag: str | None) -> None:
    with database.write() as db:
        accounts.bind(db, db.get_one(Account, account_id), tag)


def claim(database: Database, name: str) -> ClaimedChunk | None:
    with database.write() as db:
        claimant = registry.claimant(db, name)
        assert claimant
        return leases.claim_next(db, claimant, seconds=30)


def first_turn(database: Database, account_id: str) -> int:
    with database.read() as db:
        return chunks.next_turn(db, account_id, DRAWING)


@pytest.fixture
def bound(database: Database, client: Client) -> Client:
    """The client, its account bound to the tag studio."""
    bind(database, client.account.id, "studio")
    return client


@pytest.mark.usefixtures("bound")
class TestRetry:
    @pytest.mark.parametrize(("tags", "waits"), [([], False), (["big"], False), (["big", "studio"], True)])
    def test_is_left_only_to_nodes_with_the_tag(
        self, database: Database, render: Render, doorbell: Doorbell, cpu: Facts, tags: list[str], waits: bool
    ) -> None:
        registry.join(database, replace(cpu, name="sick", tags=["studio"]))
        registry.join(database, replace(cpu, name="sound", tags=tags))
        chunk = claim(database, "sick")
        assert chunk
        with database.write() as db:
            for other in chunks.unfinished_of_shot(db, render.shot_id):
                if other.id != chunk.id:
                    db.delete(other)
            retried = leases.fail(db, doorbell, chunk.id, chunk.attempt, EncodingFailed(), max_attempts=2)
            assert retried
        assert (claim(database, "sick") is None) is waits
        assert (claim(database, "sound") is not None) is waits

    def test_ends_the_render_if_no_other_node_has_the_tag(
        self, database: Database, render: Render, doorbell: Doorbell, cpu: Facts
    ) -> None:
        registry.join(database, replace(cpu, name="sick", tags=["studio"]))
        registry.join(database, replace(cpu, name="sound"))
        chunk = claim(database, "sick")
        assert chunk
        with database.write() as db:
            assert leases.fail(db, doorbell, chunk.id, chunk.attempt, EncodingFailed(), max_attempts=1) is None
            assert db.get_one(Render, render.id).status == "error"

    def test_waits_for_a_second_node_without_gpu(
        self, database: Database, render: Render, doorbell: Doorbell, cpu: Facts, gpu: Facts
    ) -> None:
        registry.join(database, gpu)
        for name in ("sick", "sound"):
            registry.join(database, replace(cpu, name=name, tags=["studio"]))
        chunk = claim(database, "sick")
        assert chunk
        with database.write() as db:
            db.query(Chunk).filter(Chunk.shot_id == render.shot_id, Chunk.id != chunk.id).delete()
            leases.fail(db, doorbell, chunk.id, chunk.attempt, EncodingFailed(), max_attempts=2)
        assert claim(database, "sick") is None
        assert claim(database, "sound")


class TestNodeWithoutGpu:
    def test_draws_for_accounts_bound_to_its_tag_beside_gpus_without(
        self, database: Database, bound: Client, render: Render, cpu: Facts, gpu: Facts
    ) -> None:
        registry.join(database, gpu)
        registry.join(database, replace(cpu, tags=["studio"]))
        with database.read() as db:
            assert nodes.count_drawing(db, "studio") == nodes.count_drawing(db) == 1
        bind(database, bound.account.id, None)
        assert claim(database, "cpu") is None, "the GPU draws for all others"
        bind(database, bound.account.id, "studio")
        assert claim(database, "gpu") is None
        taken = claim(database, "cpu")
        assert taken
        assert taken.shot_id == render.shot_id

    @pytest.mark.usefixtures("bound", "render")
    def test_leaves_the_drawing_to_a_gpu_with_the_tag(self, database: Database, cpu: Facts, gpu: Facts) -> None:
        registry.join(database, replace(gpu, tags=["studio"]))
        registry.join(database, replace(cpu, tags=["studio"]))
        assert claim(database, "cpu") is None
        assert claim(database, "gpu")


class TestShotThatAnotherEngineHasBegun:
    @pytest.fixture
    def begun(self, database: Database, render: Render, gpu: Facts, cpu: Facts, doorbell: Doorbell) -> Render:
        """A render begun by a GPU node without tags, beside a CPU node with the tag studio."""
        registry.join(database, gpu)
        registry.join(database, replace(cpu, tags=["studio"]))
        chunk = claim(database, "gpu")
        assert chunk
        with database.write() as db:
            assert leases.complete(db, doorbell, chunk, frames_done=chunk.frames) is not None
        return render

    @pytest.mark.parametrize(("tag", "engine"), [("studio", None), ("big", "eevee"), (None, "eevee")])
    def test_is_restarted_if_no_node_for_its_account_has_that_engine(
        self,
        database: Database,
        begun: Render,
        settings: Settings,
        doorbell: Doorbell,
        tag: str | None,
        engine: str | None,
    ) -> None:
        bind(database, begun.account_id, tag)
        reaper.reap(database, doorbell, settings)
        with database.read() as db:
            assert db.get_one(Render, begun.id).shot.engine == engine
        if tag == "studio":
            assert claim(database, "cpu")


class TestWaiting:
    @pytest.mark.usefixtures("bound", "render")
    def test_wakes_no_node_in_vain(self, database: Database) -> None:
        with database.read() as db:
            assert chunks.count_waiting(db, DRAWING, limit=9) == 0
            assert chunks.count_waiting(db, DRAWING, limit=9, tags=["studio"]) > 0
            assert not chunks.bound_wait(db, ["big"])
            assert chunks.bound_wait(db, ["big", "studio"])

    @pytest.mark.usefixtures("bound", "render")
    def test_wakes_no_node_before_a_retry_is_due(self, database: Database) -> None:
        with database.write() as db:
            for chunk in db.query(Chunk):
                chunk.due_at = clock.now(db) + timedelta(minutes=1)
        with database.read() as db:
            assert not chunks.bound_wait(db, ["studio"])

    def test_gives_no_account_earlier_turns(
        self, database: Database, bound: Client, render: Render, settings: Settings, doorbell: Doorbell
    ) -> None:
        """Chunks that wait for a node with their tag keep turns that have long passed for all others."""
        eve, new = new_client(database, "eve@example.com"), new_client(database, "new@example.com")
        with database.write() as db:
            model = Model(account_id=eve.account.id, original_name="b.glb", format="glb", file_size=1, sha256="1" * 64)
            db.add(model)
            db.flush()
            later = submit.render(db, model, RenderSettings(), settings, doorbell)
            for chunk in chunks.unfinished_of_shot(db, later.shot_id):
                chunk.turn += 1000
            turns = {chunk.turn for chunk in chunks.unfinished_of_shot(db, later.shot_id)}
        assert first_turn(database, new.account.id) == min(turns)
        bind(database, bound.account.id, None)
        with database.read() as db:
            moved = {chunk.turn for chunk in chunks.unfinished_of_shot(db, render.shot_id)}
        assert min(moved) == min(turns) + 1
