"""Workers, clients and reapers at once: no transaction fails because of another, and all credits balance in the end."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from redis import Redis
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api.dependencies import Farm
from api.models import service as models_service
from api.rate_limits import RateLimiter
from api.renders import service
from api.version_check import VersionCheck
from farm.accounts import credits
from farm.db import chunks, counters, session
from farm.db import renders as renders_of_account
from farm.db.session import Database
from farm.db.tables import Account, Asset, Chunk, Model, Render, Segment, Shot
from farm.errors import BadModel, BlenderCrashed, Conflict, FarmError, LeaseLost, RenderNotFound, WorkerLost
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, reaper, render_status, submit
from farm.scheduling.cleanup import clean_up
from farm.scheduling.leases import Claimant, ClaimedChunk
from farm.settings import Settings
from farm.storage import open_storage
from farm.worker.lease import Lease
from tests.support.chunks import claimed
from tests.support.clients import new_client
from tests.support.consistency import assert_all_renders_over, assert_books_balance
from tests.support.polling import until

SECONDS = 4.0
SEED = 7
WORKERS, CLIENTS, REAPERS = 10, 4, 2


@pytest.fixture
def database_kind() -> str:
    """PostgreSQL alone: on SQLite writers queue up, and cannot deadlock."""
    return "postgresql"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"chunk_seconds": 0.001, "lease_seconds": 0.3, "attempts": 2})


class Crowd:
    """Workers, clients and reapers with the farm's own transactions; only the rendering is left out."""

    def __init__(self, farm: Farm) -> None:
        self.farm, self.database = farm, farm.database
        self.deleted: set[str] = set()
        self.errors: list[BaseException] = []
        self.random = random.Random(SEED)
        self.over = threading.Event()

    def work(self, name: str, *, always_completes: bool = False) -> bool:
        """Claim a chunk and complete, fail, release or abandon it. False if there was none to claim."""
        with self.database.write() as db:
            chunk = leases.claim_next(db, Claimant(name, "cycles"), seconds=self.farm.settings.lease_seconds)
        if chunk is None:
            return False
        lease = Lease(self.database, self.farm.doorbell, chunk, self.farm.settings.lease_seconds, lambda _: None)
        chance = 1.0 if always_completes else self.random.random()
        try:
            with lease.renewed(on_loss=lambda: None):
                if chunk.kind == "draw" and chunk.first_frame == 0:
                    self._posters(lease)
                if chance < 0.05:
                    self._fail(chunk, BadModel())
                elif chance < 0.2:
                    self._fail(chunk, BlenderCrashed())
                elif chance < 0.25:
                    pass  # killed: the lease expires
                elif chance < 0.35:
                    self._end_held_chunks(name)
                elif chunk.kind == "draw":
                    self._drawn(lease)
                else:
                    self._finished(lease, chunk.renders[0].id)
        except LeaseLost:
            pass
        return True

    def order_and_delete(self, account: Account, model: Model) -> None:
        with self.database.write() as db:
            requests = [(model, RenderSettings(length=3, bg_color=f"#00000{digit}")) for digit in range(3)]
            renders = submit.renders(db, account.id, requests, self.farm.settings, self.farm.doorbell)
            submit.preview(db, model, self.farm.settings, self.farm.doorbell)
        with self.database.read() as db:
            own = db.scalars(select(Render.id).where(Render.account_id == account.id)).all()
        for render_id in {self.random.choice(own), self.random.choice(renders).id}:
            try:
                with self.database.write() as db:
                    if self.random.random() < 0.5:
                        service.dismiss(db, account, render_id)
                    else:
                        service.delete(db, self.farm, account, render_id)
                        self.deleted.add(render_id)
            except (RenderNotFound, Conflict):
                pass

    def reap(self) -> None:
        reaper.reap(self.database, self.farm.doorbell, self.farm.settings)
        clean_up(self.database, self.farm.storage)

    def repeat(self, act: Callable[[], object]) -> None:
        while not self.over.is_set():
            try:
                act()
            except Exception as error:
                self.errors.append(error)

    def enough_renders_failed(self) -> bool:
        """Whether more renders have failed than the assertion needs, even if each client deletes two more."""
        with self.database.read() as db:
            return len(db.scalars(select(Render.id).where(Render.status == "error")).all()) > 5 + 2 * CLIENTS

    def once(self, act: Callable[[], object]) -> None:
        self.over.set()
        act()

    def _posters(self, lease: Lease) -> None:
        with lease.publishing() as db:
            for render in self._renders(db, lease):
                for status in ("poster-done", "video-processing"):
                    render_status.advance(db, render, status)

    def _drawn(self, lease: Lease) -> None:
        with lease.completing(1.0) as (db, _wanted):
            for render in self._renders(db, lease):
                db.add(Segment(render_id=render.id, chunk_id=lease.chunk.id, kind="video", storage_key=lease.name))

    def _finished(self, lease: Lease, render_id: str) -> None:
        with lease.completing() as (db, _wanted):
            render = db.get_one(Render, render_id)
            for segment in db.scalars(select(Segment).where(Segment.render_id == render_id)):
                db.delete(segment)
            db.add(Asset(render_id=render_id, kind="video", storage_key=lease.name, content_type="video/mp4", size=1))
            render_status.advance(db, render, "done")

    def _fail(self, chunk: Chunk | ClaimedChunk, error: FarmError) -> None:
        with self.database.write() as db:
            leases.fail(
                db,
                self.farm.doorbell,
                chunk.id,
                chunk.attempt,
                error,
                max_attempts=self.farm.settings.attempts,
            )

    def _end_held_chunks(self, name: str) -> None:
        with self.database.read() as db:
            held = chunks.held_by(db, name)
        for chunk in held:
            if self.random.random() < 0.5:
                self._fail(chunk, WorkerLost())
            else:
                with self.database.write() as db:
                    leases.release(db, self.farm.doorbell, chunk.id, chunk.attempt)

    @staticmethod
    def _renders(db: Session, lease: Lease) -> list[Render]:
        renders = db.get_one(Chunk, lease.chunk.id).renders
        return [render for render in renders if render.status not in ("error", "failed")]


@pytest.fixture
def crowd(settings: Settings, database: Database, redis: Redis) -> Crowd:
    return Crowd(Farm(settings, database, open_storage(settings), redis, RateLimiter(settings), VersionCheck(database)))


@pytest.fixture
def owners(database: Database) -> list[tuple[Account, Model]]:
    """Accounts with a model each."""
    pairs = []
    for number in range(CLIENTS):
        account = new_client(database, f"client{number}@example.com").account
        with database.write() as db:
            model = Model(account_id=account.id, original_name="a.glb", format="glb", file_size=1, sha256="0" * 64)
            db.add(model)
        pairs.append((account, model))
    return pairs


def test_has_no_deadlock_and_all_credits_balance(crowd: Crowd, owners: list[tuple[Account, Model]]) -> None:
    acts: list[Callable[[], object]] = [partial(crowd.work, f"worker{number % 7}") for number in range(WORKERS)]
    acts += [partial(crowd.order_and_delete, *pair) for pair in owners]
    acts += [crowd.reap] * REAPERS
    threads = [threading.Thread(target=crowd.repeat, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS)
    until(crowd.enough_renders_failed, bool)  # a slow machine takes longer
    crowd.over.set()
    for thread in threads:
        thread.join()
    assert not crowd.errors, Counter(f"{type(error).__name__}: {error}"[:300] for error in crowd.errors)
    time.sleep(crowd.farm.settings.lease_seconds)
    crowd.reap()
    while crowd.work("last worker", always_completes=True):
        pass
    with crowd.database.read() as db:
        assert_all_renders_over(db)
        assert_books_balance(db, deleted=crowd.deleted)
        assert counters.REAPER_FAILURES.totals(db) == {}
        ends = Counter(db.scalars(select(Render.status)))
    assert ends["done"] > 20, ends
    assert ends["error"] > 5, ends


def test_does_not_deadlock_reaper_and_deleting_client(crowd: Crowd, owners: list[tuple[Account, Model]]) -> None:
    """Two renders of one account have failed permanently while the client deletes one of them."""
    account, model = owners[0]
    database, settings = crowd.database, crowd.farm.settings
    with database.write() as db:
        requests = [(model, RenderSettings(length=3, rotate_y=angle)) for angle in (0, 90)]
        renders = submit.renders(db, account.id, requests, settings, crowd.farm.doorbell)
        for render in renders:
            chunk = claimed(db, render.shot.chunks[0], seconds=-1)
            chunk.failures = settings.attempts - 1
    deleted = max(renders, key=lambda render: render.shot_id)
    reaper_thread = threading.Thread(target=crowd.repeat, args=[partial(crowd.once, crowd.reap)])
    with database.write() as db:
        row = renders_of_account.owned(db, account.id, deleted.id, lock=True)
        reaper_thread.start()
        time.sleep(0.5)  # until it has taken back the other chunk, and waits for this one
        credits.refund(db, row.id)
        renders_of_account.remove(db, row)
    reaper_thread.join()
    assert not crowd.errors, crowd.errors
    with database.read() as db:
        assert set(db.scalars(select(Render.status))) == {"error"}
        assert_books_balance(db, deleted={deleted.id})
        assert counters.REAPER_FAILURES.totals(db) == {}


def test_does_not_deadlock_failing_preview_and_deleting_client(
    crowd: Crowd, owners: list[tuple[Account, Model]]
) -> None:
    """The model is deleted while the worker that found it bad is about to say so."""
    account, model = owners[0]
    with crowd.database.write() as db:
        preview = submit.preview(db, model, crowd.farm.settings, crowd.farm.doorbell)
        chunk = claimed(db, preview.shot.chunks[0])

    def delete() -> None:
        with crowd.database.write() as db:
            models_service.delete(db, account, model.id)

    def is_waiting() -> bool:
        with crowd.database.read() as db:
            return bool(db.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

    client = threading.Thread(target=crowd.repeat, args=[partial(crowd.once, delete)])
    with crowd.database.write() as db:
        chunks.lock(db, chunk.id)
        client.start()
        until(is_waiting, bool)
        leases.fail(db, crowd.farm.doorbell, chunk.id, chunk.attempt, BadModel(), max_attempts=1)
    client.join()
    assert not crowd.errors, crowd.errors
    with crowd.database.read() as db:
        row = db.get_one(Model, model.id)
        assert row.deleted_at
        assert row.failed_at


def test_frees_the_locks_of_a_client_that_was_cut_off(
    crowd: Crowd, owners: list[tuple[Account, Model]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its node loses power: by default PostgreSQL holds the locks until TCP times out, which takes hours."""
    [_, model] = owners[0]
    with crowd.database.write() as db:
        render = submit.render(db, model, RenderSettings(length=3), crowd.farm.settings, crowd.farm.doorbell)
        claimed(db, render.shot.chunks[0], seconds=-1)
    monkeypatch.setattr(session, "IDLE_IN_TRANSACTION_TIMEOUT_SECONDS", 1.0)
    frozen = Database(crowd.farm.settings.database)

    def cut_off() -> None:
        with frozen.write() as db:
            chunks.lock_shot(db, render.shot_id)
            crowd.reap()  # waits no longer than a second

    with pytest.raises(DBAPIError):
        cut_off()
    frozen.close()
    with crowd.database.read() as db:
        assert {chunk.state for chunk in db.get_one(Shot, render.shot_id).chunks} == {"queued"}
