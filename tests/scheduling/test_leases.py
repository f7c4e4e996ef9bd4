"""Leases of chunks: claims, turns, fencing, completion, failures and releases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, event, select, text
from sqlalchemy.orm import Session

from farm.db import chunks, counters
from farm.db.chunks import DRAWING
from farm.db.session import Database
from farm.db.tables import Account, Chunk, Model, Render, now
from farm.errors import BadModel, BlenderCrashed
from farm.orders.render_settings import RenderSettings
from farm.scene.shot import ENGINES, Engine
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
    def test_gives_a_chunk_to_one_of_many_claimants(self, database: Database, render: Render) -> None:
        def claim(number: int) -> str | None:
            with database.write() as db:
                chunk = leases.claim_next(db, Claimant(f"w{number}", "cycles"), seconds=30)
                return chunk.id if chunk else None

        with database.read() as db:
            chunks = len(db.get_one(Render, render.id).shot.chunks)
        with ThreadPoolExecutor(8) as pool:
            # A claimant gets no chunk while another has locked the shot, so all of them claim repeatedly.
            claimed = [id_ for _ in range(8) for id_ in pool.map(claim, range(8)) if id_]
        assert len(claimed) == len(set(claimed)) == chunks

    def test_skips_chunks_of_a_suspended_account_until_it_is_resumed(
        self, database: Database, render: Render, settings: Settings, doorbell: Doorbell
    ) -> None:
        other = new_client(database, "eve@example.com").account
        with database.write() as db:
            db.get_one(Account, render.account_id).suspended_at = now()
            order(db, model_of(db, other), settings, doorbell)
            while leases.claim_next(db, GPU, seconds=30):
                pass
            assert {chunk.account_id for chunk in chunks.held_by(db, GPU.worker)} == {other.id}
            assert chunks.count_waiting(db, DRAWING, limit=9) == 0, "no worker is woken for nothing"
            db.get_one(Account, render.account_id).suspended_at = None
            db.flush()
            assert chunks.count_waiting(db, DRAWING, limit=9) > 0
            claim = leases.claim_next(db, GPU, seconds=30)
            assert claim is not None
            assert [render_.id for render_ in claim.renders] == [render.id]

    def test_returns_all_data_that_the_worker_needs(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            requests = [(model, RenderSettings(bg_color=colour)) for colour in ("#000000", "#ffffff")]
            first, second = submit.renders(db, model.account_id, requests, settings, doorbell)
        claims: list[ClaimedChunk] = []
        while not claims or claims[-1].kind == "draw":
            with database.write() as db:
                chunk = leases.claim_next(db, CPU, seconds=30)
                assert chunk
                claims.append(chunk)
                assert chunk == as_claimed(db.get_one(Chunk, chunk.id))
                leases.complete(db, doorbell, chunk, frames_done=chunk.frames)
        ordered = {first.id, second.id}
        assert {render.id for render in claims[0].renders} == ordered
        [finished] = claims[-1].renders
        assert finished.id in ordered
        assert claims[0].model_key == model.storage_key

    def test_begins_the_renders_that_wait_for_the_frames(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            requests = [(model, RenderSettings(bg_color=colour)) for colour in ("#000000", "#ffffff", "#ff0000")]
            *waiting, failed = submit.renders(db, model.account_id, requests, settings, doorbell)
            render_status.advance(db, failed, "error", message="why")
            other = submit.preview(db, model, settings, doorbell)
            db.query(Chunk).filter_by(shot_id=other.shot_id).update({"turn": 1_000_000, "priority": DRAWING})
        with database.write() as db:
            chunk = leases.claim_next(db, CPU, seconds=30)
            assert chunk
            assert [render.id for render in chunk.renders if render.is_over] == [failed.id]
        with database.read() as db:
            seen = [db.get_one(Render, render.id) for render in (*waiting, failed, other)]
            assert [render.status for render in seen] == ["poster-processing", "poster-processing", "error", "pending"]
            assert seen[0].updated_at > waiting[0].updated_at

    def test_continues_after_a_chunk_without_renders(
        self, db: Session, render: Render, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        order(db, model, settings, doorbell)
        db.execute(delete(Render).where(Render.id == render.id))  # the farm itself would delete the chunks too
        claimed = [leases.claim_next(db, CPU, seconds=30) for _ in range(10)]
        assert {len(chunk.renders) for chunk in claimed if chunk} == {0, 1}

    def test_prefers_a_preview_to_an_older_render(
        self, db: Session, render: Render, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        preview = submit.preview(db, model, settings, doorbell)
        first = leases.claim_next(db, CPU, seconds=30)
        assert first
        assert first.shot_id == preview.shot_id != render.shot_id

    def test_gives_only_previews_to_a_node_without_draws(
        self, db: Session, render: Render, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        idle = Claimant("w", "cycles", draws=False)
        assert leases.claim_next(db, idle, seconds=30) is None
        preview = submit.preview(db, model, settings, doorbell)
        claimed = leases.claim_next(db, idle, seconds=30)
        assert claimed
        assert claimed.shot_id == preview.shot_id != render.shot_id

    def test_lets_only_one_engine_draw_a_shot(self, db: Session, render: Render) -> None:
        assert leases.claim_next(db, GPU, seconds=30)
        assert leases.claim_next(db, CPU, seconds=30) is None
        assert leases.claim_next(db, GPU, seconds=30)
        assert db.get_one(Render, render.id).shot.engine == "eevee"

    @pytest.mark.parametrize("begun", ENGINES)
    def test_keeps_a_shot_on_the_engine_and_the_kind_of_device_that_began_it(
        self, db: Session, render: Render, begun: Engine
    ) -> None:
        """Each of Cycles' back ends is a kind of its own, as their pixels differ."""
        assert leases.claim_next(db, Claimant("first", begun), seconds=30)
        for other in ENGINES:
            claimed = leases.claim_next(db, Claimant("second", other, draws=other != begun), seconds=30)
            assert (claimed is not None) == (other == begun), other
        db.expire_all()
        assert db.get_one(Render, render.id).shot.engine == begun


class TestTurns:
    def test_serves_a_small_order_beside_a_large_older_one(
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

    def test_serves_an_account_in_the_order_of_its_requests(
        self, db: Session, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        ordered = [render.shot_id for render in order(db, model, settings, doorbell, times=3)]
        served = []
        while chunk := leases.claim_next(db, CPU, seconds=30):
            served.append((chunk.shot_id, chunk.first_frame))
        assert served == sorted(served, key=lambda each: (ordered.index(each[0]), each[1]))

    def test_retries_a_failed_chunk_before_later_ones(
        self, db: Session, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        order(db, model, settings, doorbell, times=3)
        first = leases.claim_next(db, CPU, seconds=30)
        assert first
        leases.fail(db, doorbell, first.id, 1, BlenderCrashed(), max_attempts=3)
        retried = leases.claim_next(db, CPU, seconds=30)
        assert retried
        assert (retried.id, retried.attempt) == (first.id, 2)


class TestFencing:
    """A worker that has lost its lease can neither renew it nor end the chunk."""

    def test_refuses_a_late_worker(self, db: Session, chunk: Chunk, doorbell: Doorbell) -> None:
        claimed(db, chunk)
        assert leases.fail(db, doorbell, chunk.id, 1, BlenderCrashed(), max_attempts=3)
        claimed(db, chunk)
        assert not leases.renew(db, chunk.id, 1, frames_done=9, seconds=30)
        assert leases.complete(db, doorbell, chunk, frames_done=9) is None
        assert leases.fail(db, doorbell, chunk.id, 1, BlenderCrashed(), max_attempts=3) is None
        row = fresh(db, chunk)
        assert (row.state, row.attempt, row.failures, row.frames_done) == ("running", 2, 1, 0)

    def test_refuses_to_end_a_finished_chunk_again(self, db: Session, chunk: Chunk, doorbell: Doorbell) -> None:
        claimed(db, chunk)
        assert leases.complete(db, doorbell, chunk, frames_done=chunk.frames) is not None
        assert leases.complete(db, doorbell, chunk, frames_done=1) is None
        assert leases.fail(db, doorbell, chunk.id, 1, BlenderCrashed(), max_attempts=1) is None
        assert fresh(db, chunk).frames_done == chunk.frames


class TestOrderOfClaims:
    def test_reads_one_index_and_sorts_no_waiting_chunks(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            requests = [(model, RenderSettings(length=600, rotate_y=number)) for number in range(5)]
            submit.renders(db, model.account_id, requests, settings, doorbell)
            db.execute(text("ANALYZE"))  # as autovacuum does
        statements: list[tuple[str, Any]] = []
        event.listen(database.engine, "before_cursor_execute", lambda *call: statements.append(call[2:4]))
        with database.write() as db:
            assert leases.claim_next(db, CPU, seconds=30)
            claims = [call for call in statements if call[0].startswith("UPDATE chunks")]
            plans = [self.plan(db, claim, values) for claim, values in claims]
        assert len(plans) == 3, "one for each priority"
        for plan in plans:
            assert "ix_chunks_state_priority_turn_created_at" in plan
            assert "Sort" not in plan
            assert "TEMP B-TREE" not in plan

    @staticmethod
    def plan(db: Session, statement: str, values: Any) -> str:
        """The database's plan for the statement."""
        explain = "EXPLAIN QUERY PLAN" if db.get_bind().dialect.name == "sqlite" else "EXPLAIN"
        return str(db.connection().exec_driver_sql(f"{explain} {statement}", values).all())


class TestComplete:
    def test_queues_the_finishing_of_renders_after_the_last_chunk(
        self, db: Session, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        requests = [(model, RenderSettings(bg_color=colour)) for colour in ("#000000", "#ffffff")]
        renders = submit.renders(db, model.account_id, requests, settings, doorbell)
        *most, last = renders[0].shot.chunks
        for chunk in most:
            claimed(db, chunk)
            leases.complete(db, doorbell, chunk, frames_done=chunk.frames)
        assert most, "the test needs several chunks"
        assert self.finishing(db) == set()
        claimed(db, last)
        leases.complete(db, doorbell, last, frames_done=last.frames)
        assert self.finishing(db) == {render.id for render in renders}

    @staticmethod
    def finishing(db: Session) -> set[str | None]:
        return set(db.scalars(select(Chunk.render_id).where(Chunk.kind == "finish", Chunk.state == "queued")))


class TestFail:
    def test_retries_until_the_last_attempt(
        self, db: Session, chunk: Chunk, render: Render, doorbell: Doorbell
    ) -> None:
        for attempt in (1, 2):
            retried = leases.fail(db, doorbell, chunk.id, attempt, BlenderCrashed(), max_attempts=3)
            assert retried is not None
            assert (retried.state, retried.attempt) == ("queued", attempt + 1)
            db.flush()
        assert leases.fail(db, doorbell, chunk.id, 3, BlenderCrashed(), max_attempts=3) is None
        row = db.get_one(Render, render.id)
        assert (row.status, row.error_message) == ("error", f"{BlenderCrashed.default} (3 attempts)")

    def test_ends_the_shot_at_once_for_an_error_of_the_model(
        self, db: Session, chunk: Chunk, render: Render, doorbell: Doorbell
    ) -> None:
        claimed(db, chunk)
        assert leases.fail(db, doorbell, chunk.id, 1, BadModel("The model holds no mesh"), max_attempts=3) is None
        assert db.get_one(Render, render.id).error_message == "The model holds no mesh"
        assert {row.state for row in db.scalars(select(Chunk).where(Chunk.shot_id == chunk.shot_id))} == {"failed"}


class TestReaper:
    def test_requeues_a_chunk_with_an_expired_lease(
        self, database: Database, settings: Settings, doorbell: Doorbell, chunk: Chunk
    ) -> None:
        with database.write() as db:
            claimed(db, chunk, seconds=-1)
        reaper.reap(database, doorbell, settings)
        with database.read() as db:
            row = fresh(db, chunk)
        assert (row.state, row.attempt, row.failures, row.worker) == ("queued", 2, 1, None)

    def test_goes_on_after_a_chunk_that_fails(
        self,
        database: Database,
        settings: Settings,
        doorbell: Doorbell,
        model: Model,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with database.write() as db:
            rows = [
                claimed(db, render.shot.chunks[0], seconds=-1) for render in order(db, model, settings, doorbell, 3)
            ]
        expire = leases.expire

        def fail_for_one(db: Session, doorbell: Doorbell, chunk_id: str, attempt: int, **rest: Any) -> Chunk | None:
            if chunk_id == rows[1].id:
                raise ValueError("a defect")
            return expire(db, doorbell, chunk_id, attempt, **rest)

        monkeypatch.setattr(leases, "expire", fail_for_one)
        reaper.reap(database, doorbell, settings)
        with database.read() as db:
            assert [fresh(db, row).state for row in rows] == ["queued", "running", "queued"]
            assert counters.REAPER_FAILURES.totals(db) == {("leases",): 1}

    def test_does_not_touch_a_renewed_lease(
        self, database: Database, settings: Settings, doorbell: Doorbell, chunk: Chunk
    ) -> None:
        with database.write() as db:
            claimed(db, chunk)
        reaper.reap(database, doorbell, settings)
        with database.read() as db:
            assert fresh(db, chunk).state == "running"


class TestRelease:
    def test_does_not_count_as_a_failure(self, db: Session, chunk: Chunk, doorbell: Doorbell) -> None:
        row = claimed(db, chunk)
        assert leases.release(db, doorbell, row.id, row.attempt) is row
        assert (row.state, row.attempt, row.failures) == ("queued", 2, 0)

    def test_does_not_release_a_later_attempt(self, db: Session, chunk: Chunk, doorbell: Doorbell) -> None:
        row = claimed(db, chunk)
        assert leases.release(db, doorbell, row.id, row.attempt - 1) is None
        assert row.state == "running"


class TestHeldBy:
    def test_lists_the_chunks_of_a_worker(self, db: Session, chunk: Chunk, doorbell: Doorbell) -> None:
        row = claimed(db, chunk)
        assert chunks.held_by(db, "w") == [row]
        assert chunks.held_by(db, "other") == []
        leases.release(db, doorbell, row.id, row.attempt)
        assert chunks.held_by(db, "w") == []
