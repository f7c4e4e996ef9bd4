"""Who may work on a chunk, and what becomes of it when they fail."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, event, select, text
from sqlalchemy.orm import Session

from farm.db import chunks
from farm.db.chunks import DRAWING
from farm.db.session import Database
from farm.db.tables import Account, Chunk, Model, Render
from farm.errors import BadModel, BlenderCrashed
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, reaper, render_status, submit
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant, ClaimedChunk
from farm.settings import Settings
from tests.support.chunks import as_claimed, claimed
from tests.support.clients import new_client

pytestmark = pytest.mark.on_both_databases

GPU, CPU = Claimant("g", "eevee"), Claimant("c", "cycles")


@pytest.fixture
def db(database: Database) -> Iterator[Session]:
    with database.write() as session:
        yield session


@pytest.fixture
def chunk(database: Database, render: Render) -> Chunk:
    with database.read() as db:
        return db.scalars(select(Chunk).where(Chunk.shot_id == render.shot_id).order_by(Chunk.first_frame)).all()[0]


def fresh(db: Session, chunk: Chunk) -> Chunk:
    return db.get_one(Chunk, chunk.id, populate_existing=True)


def order(db: Session, model: Model, settings: Settings, doorbell: Doorbell, times: int = 1) -> list[Render]:
    requests = [(model, RenderSettings(length=3, rotate_y=number)) for number in range(times)]
    return submit.renders(db, model.account_id, requests, settings, doorbell)


def model_of(db: Session, account: Account) -> Model:
    model = Model(account_id=account.id, original_name="b.glb", format="glb", file_size=1, sha256="1" * 64)
    db.add(model)
    db.flush()
    return model


class TestClaim:
    def test_is_given_to_one_of_many_who_ask_at_once(self, database: Database, render: Render) -> None:
        def ask(number: int) -> str | None:
            with database.write() as db:
                chunk = leases.claim_next(db, Claimant(f"w{number}", "cycles"), seconds=30)
                return chunk.id if chunk else None

        with database.read() as db:
            chunks = len(db.get_one(Render, render.id).shot.chunks)
        with ThreadPoolExecutor(8) as pool:
            # Who finds the shot locked goes away empty-handed and comes again.
            given = [id_ for _ in range(8) for id_ in pool.map(ask, range(8)) if id_]
        assert len(given) == len(set(given)) == chunks

    def test_tells_the_worker_what_it_has_to_know(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            requests = [(model, RenderSettings(bg_color=colour)) for colour in ("#000000", "#ffffff")]
            first, second = submit.renders(db, model.account_id, requests, settings, doorbell)
        told: list[ClaimedChunk] = []
        while not told or told[-1].kind == "draw":
            with database.write() as db:
                chunk = leases.claim_next(db, CPU, seconds=30)
                assert chunk
                told.append(chunk)
                assert chunk == as_claimed(db.get_one(Chunk, chunk.id))
                leases.complete(db, doorbell, chunk, frames_done=chunk.frames)
        assert [render.id for render in told[0].renders] == [first.id, second.id]
        assert [render.id for render in told[-1].renders] == [first.id]
        assert told[0].model_key == model.storage_key

    def test_of_frames_begins_the_renders_that_wait_for_them(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            requests = [(model, RenderSettings(bg_color=colour)) for colour in ("#000000", "#ffffff", "#ff0000")]
            *waiting, wrong = submit.renders(db, model.account_id, requests, settings, doorbell)
            render_status.advance(db, wrong, "error", message="why")
            other = submit.preview(db, model, settings, doorbell)
            db.query(Chunk).filter_by(shot_id=other.shot_id).update({"turn": 1_000_000, "priority": DRAWING})
        with database.write() as db:
            chunk = leases.claim_next(db, CPU, seconds=30)
            assert chunk
            over = {render.id: render.is_over for render in chunk.renders}
            assert over == {waiting[0].id: False, waiting[1].id: False, wrong.id: True}
        with database.read() as db:
            seen = [db.get_one(Render, render.id) for render in (*waiting, wrong, other)]
            assert [render.status for render in seen] == ["poster-processing", "poster-processing", "error", "pending"]
            assert seen[0].updated_at > waiting[0].updated_at

    def test_of_a_chunk_whose_renders_are_gone_does_not_stop_those_behind_it(
        self, db: Session, render: Render, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        order(db, model, settings, doorbell)
        db.execute(delete(Render).where(Render.id == render.id))  # by hand: the farm takes the chunks along
        claimed = [leases.claim_next(db, CPU, seconds=30) for _ in range(10)]
        assert {len(chunk.renders) for chunk in claimed if chunk} == {0, 1}

    def test_takes_previews_before_what_has_waited_longer(
        self, db: Session, render: Render, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        preview = submit.preview(db, model, settings, doorbell)
        first = leases.claim_next(db, CPU, seconds=30)
        assert first
        assert first.shot_id == preview.shot_id != render.shot_id

    def test_gives_a_node_that_does_not_draw_only_what_is_urgent(
        self, db: Session, render: Render, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        idle = Claimant("w", "cycles", draws=False)
        assert leases.claim_next(db, idle, seconds=30) is None
        preview = submit.preview(db, model, settings, doorbell)
        urgent = leases.claim_next(db, idle, seconds=30)
        assert urgent
        assert urgent.shot_id == preview.shot_id != render.shot_id

    def test_lets_one_engine_alone_draw_a_shot(self, db: Session, render: Render) -> None:
        assert leases.claim_next(db, GPU, seconds=30)
        assert leases.claim_next(db, CPU, seconds=30) is None
        assert leases.claim_next(db, GPU, seconds=30)
        assert db.get_one(Render, render.id).shot.engine == "eevee"


class TestTurns:
    def test_an_account_with_much_waiting_does_not_starve_one_with_little(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            order(db, model, settings, doorbell, times=50)
        with database.write() as db:
            for _ in range(10):
                leases.claim_next(db, CPU, seconds=30)
        other = new_client(database, "late@example.com").account
        with database.write() as db:
            [late] = order(db, model_of(db, other), settings, doorbell)
            waiting = len(late.shot.chunks)
            served = [leases.claim_next(db, CPU, seconds=30) for _ in range(2 * waiting + 1)]
        assert [chunk.shot_id for chunk in served if chunk].count(late.shot_id) == waiting

    def test_an_account_is_served_in_the_order_in_which_it_asked(
        self, db: Session, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        asked = [render.shot_id for render in order(db, model, settings, doorbell, times=3)]
        served = []
        while chunk := leases.claim_next(db, CPU, seconds=30):
            served.append((chunk.shot_id, chunk.first_frame))
        assert served == sorted(served, key=lambda each: (asked.index(each[0]), each[1]))

    def test_a_chunk_that_failed_does_not_queue_again_behind_all_others(
        self, db: Session, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        order(db, model, settings, doorbell, times=3)
        first = leases.claim_next(db, CPU, seconds=30)
        assert first
        leases.fail(db, doorbell, first.id, 1, BlenderCrashed(), max_attempts=3)
        again = leases.claim_next(db, CPU, seconds=30)
        assert again
        assert (again.id, again.attempt) == (first.id, 2)


class TestFencing:
    """Who lost the claim can neither keep, nor end, nor give back the chunk."""

    def test_a_late_worker_is_refused(self, db: Session, chunk: Chunk, doorbell: Doorbell) -> None:
        claimed(db, chunk)
        assert leases.fail(db, doorbell, chunk.id, 1, BlenderCrashed(), max_attempts=3)
        claimed(db, chunk)
        assert not leases.renew(db, chunk.id, 1, frames_done=9, seconds=30)
        assert leases.complete(db, doorbell, chunk, frames_done=9) is None
        assert leases.fail(db, doorbell, chunk.id, 1, BlenderCrashed(), max_attempts=3) is None
        row = fresh(db, chunk)
        assert (row.state, row.attempt, row.failures, row.frames_done) == ("running", 2, 1, 0)

    def test_a_finished_chunk_stays_finished(self, db: Session, chunk: Chunk, doorbell: Doorbell) -> None:
        claimed(db, chunk)
        assert leases.complete(db, doorbell, chunk, frames_done=chunk.frames) is not None
        assert leases.complete(db, doorbell, chunk, frames_done=1) is None
        assert leases.fail(db, doorbell, chunk.id, 1, BlenderCrashed(), max_attempts=1) is None
        assert fresh(db, chunk).frames_done == chunk.frames


class TestOrderOfClaims:
    def test_comes_from_an_index_so_that_no_claim_sorts_the_waiting_chunks(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            requests = [(model, RenderSettings(length=600, rotate_y=number)) for number in range(5)]
            submit.renders(db, model.account_id, requests, settings, doorbell)
            db.execute(text("ANALYZE"))  # as autovacuum does
        asked: list[tuple[str, Any]] = []
        event.listen(database.engine, "before_cursor_execute", lambda *call: asked.append(call[2:4]))
        with database.write() as db:
            assert leases.claim_next(db, CPU, seconds=30)
            [(claim, values)] = [call for call in asked if "ORDER BY chunks.priority" in call[0]]
            plan = self.plan(db, claim, values)
        assert "ix_chunks_state_priority_turn_created_at" in plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan

    @staticmethod
    def plan(db: Session, statement: str, values: Any) -> str:
        """How the database goes about it."""
        explain = "EXPLAIN QUERY PLAN" if db.get_bind().dialect.name == "sqlite" else "EXPLAIN"
        return str(db.connection().exec_driver_sql(f"{explain} {statement}", values).all())


class TestComplete:
    def test_of_the_last_chunk_lets_every_render_of_the_shot_be_finished(
        self, db: Session, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        requests = [(model, RenderSettings(bg_color=colour)) for colour in ("#000000", "#ffffff")]
        renders = submit.renders(db, model.account_id, requests, settings, doorbell)
        *most, last = renders[0].shot.chunks
        for chunk in most:
            claimed(db, chunk)
            leases.complete(db, doorbell, chunk, frames_done=chunk.frames)
        assert most, "this needs several chunks"
        assert self.finishing(db) == set()
        claimed(db, last)
        leases.complete(db, doorbell, last, frames_done=last.frames)
        assert self.finishing(db) == {render.id for render in renders}

    @staticmethod
    def finishing(db: Session) -> set[str | None]:
        return set(db.scalars(select(Chunk.render_id).where(Chunk.kind == "finish", Chunk.state == "queued")))


class TestFail:
    def test_gives_another_attempt_until_there_were_enough(
        self, db: Session, chunk: Chunk, render: Render, doorbell: Doorbell
    ) -> None:
        for attempt in (1, 2):
            again = leases.fail(db, doorbell, chunk.id, attempt, BlenderCrashed(), max_attempts=3)
            assert again is not None
            assert (again.state, again.attempt) == ("queued", attempt + 1)
            db.flush()
        assert leases.fail(db, doorbell, chunk.id, 3, BlenderCrashed(), max_attempts=3) is None
        row = db.get_one(Render, render.id)
        assert (row.status, row.error_message) == ("error", f"{BlenderCrashed.default} (3 attempts)")

    def test_a_fault_of_the_model_ends_it_and_the_rest_of_the_shot_at_once(
        self, db: Session, chunk: Chunk, render: Render, doorbell: Doorbell
    ) -> None:
        claimed(db, chunk)
        assert leases.fail(db, doorbell, chunk.id, 1, BadModel("The model holds no mesh"), max_attempts=3) is None
        assert db.get_one(Render, render.id).error_message == "The model holds no mesh"
        assert {row.state for row in db.scalars(select(Chunk).where(Chunk.shot_id == chunk.shot_id))} == {"failed"}


class TestReaper:
    def test_takes_back_what_a_silent_worker_holds(
        self, database: Database, settings: Settings, doorbell: Doorbell, chunk: Chunk
    ) -> None:
        with database.write() as db:
            claimed(db, chunk, seconds=-1)
        reaper.reap(database, doorbell, settings)
        with database.read() as db:
            row = fresh(db, chunk)
        assert (row.state, row.attempt, row.failures, row.worker) == ("queued", 2, 1, None)

    def test_leaves_a_busy_worker_alone(
        self, database: Database, settings: Settings, doorbell: Doorbell, chunk: Chunk
    ) -> None:
        with database.write() as db:
            claimed(db, chunk)
        reaper.reap(database, doorbell, settings)
        with database.read() as db:
            assert fresh(db, chunk).state == "running"


class TestRelease:
    def test_costs_no_attempt_of_the_allowed_ones(self, db: Session, chunk: Chunk, doorbell: Doorbell) -> None:
        row = claimed(db, chunk)
        assert leases.release(db, doorbell, row.id, row.attempt) is row
        assert (row.state, row.attempt, row.failures) == ("queued", 2, 0)

    def test_gives_back_nothing_that_a_later_attempt_holds(self, db: Session, chunk: Chunk, doorbell: Doorbell) -> None:
        row = claimed(db, chunk)
        assert leases.release(db, doorbell, row.id, row.attempt - 1) is None
        assert row.state == "running"


class TestHeld:
    def test_names_what_a_worker_works_on(self, db: Session, chunk: Chunk, doorbell: Doorbell) -> None:
        row = claimed(db, chunk)
        assert chunks.held_by(db, "w") == [row]
        assert chunks.held_by(db, "other") == []
        leases.release(db, doorbell, row.id, row.attempt)
        assert chunks.held_by(db, "w") == []
