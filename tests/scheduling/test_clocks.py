"""Machines whose clocks are off: rows, leases, heartbeats and due times go by the database's clock alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from farm.accounts import accounts
from farm.cli import app
from farm.commands import storage_report
from farm.db import answers, cleanups, clock, models, nodes, statistics
from farm.db.accounts import keys_of
from farm.db.session import Database
from farm.db.tables import Account, Answer, Chunk, Cleanup, Model, Render, base
from farm.errors import TokenExpired, UploadLimit
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, reaper, render_status, submit
from farm.scheduling.cleanup import clean_up
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant
from farm.settings import Settings
from farm.storage import Storage
from tests.support.clients import Client, expired_key

pytestmark = pytest.mark.on_both_databases

OFFSETS = [pytest.param(timedelta(hours=hours), id=f"{hours:+d} h") for hours in (1, -1)]
OVER_A_DAY = [pytest.param(timedelta(hours=hours), id=f"{hours:+d} h") for hours in (25, -25)]


@contextmanager
def clock_off_by(offset: timedelta) -> Iterator[None]:
    """This process's clock, by which Python code tells the time, is off while the block runs."""

    class OffClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + offset

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "datetime", OffClock)
        assert abs(base.now() - datetime.now(UTC) - offset) < timedelta(seconds=1)
        yield


def state_of(database: Database, chunk_id: str) -> str:
    with database.read() as db:
        return db.get_one(Chunk, chunk_id).state


@pytest.mark.parametrize("offset", OFFSETS)
class TestClockThatIsOff:
    @pytest.mark.usefixtures("render")
    def test_of_a_reaper_ends_no_valid_lease(
        self, database: Database, doorbell: Doorbell, settings: Settings, offset: timedelta
    ) -> None:
        with database.write() as db:
            chunk = leases.claim_next(db, Claimant("w", "cycles"), seconds=30)
        assert chunk
        with clock_off_by(offset):
            reaper.reap(database, doorbell, settings)
        assert state_of(database, chunk.id) == "running"

    @pytest.mark.usefixtures("render")
    def test_of_a_worker_neither_shortens_nor_extends_its_lease(
        self, database: Database, doorbell: Doorbell, settings: Settings, offset: timedelta
    ) -> None:
        with clock_off_by(offset), database.write() as db:
            chunk = leases.claim_next(db, Claimant("w", "cycles"), seconds=30)
            assert chunk
            assert leases.renew(db, chunk.id, 1, frames_done=0, seconds=30)
            left = db.get_one(Chunk, chunk.id, populate_existing=True).lease_until
            assert left
            assert abs(left - clock.now(db) - timedelta(seconds=30)) < timedelta(seconds=5)
        reaper.reap(database, doorbell, settings)
        assert state_of(database, chunk.id) == "running"
        with clock_off_by(offset), database.write() as db:
            assert leases.renew(db, chunk.id, 1, frames_done=0, seconds=-1)
        reaper.reap(database, doorbell, settings)
        assert state_of(database, chunk.id) == "queued"

    def test_of_a_node_is_recorded_and_keeps_it_alive(self, database: Database, cpu: Facts, offset: timedelta) -> None:
        with clock_off_by(offset):
            registry.join(database, cpu)
            with database.write() as db:
                registry.heartbeat(db, cpu)
        with database.read() as db:
            [node] = nodes.alive(db)
            assert registry.state(node, None, clock.now(db)) == "idle"
            assert node.clock_offset == pytest.approx(offset.total_seconds(), abs=5)
            assert nodes.count_drawing(db) == 1

    @pytest.mark.usefixtures("render")
    def test_of_an_observer_shows_nodes_and_leases_as_they_are(
        self, database: Database, cpu: Facts, offset: timedelta
    ) -> None:
        registry.join(database, cpu)
        with database.write() as db:
            assert leases.claim_next(db, Claimant("w", "cycles"), seconds=30)
        with clock_off_by(offset), database.read() as db:
            assert [node.name for node in nodes.alive(db)] == ["cpu"]
            assert statistics.overdue_chunks(db) == 0

    def test_of_either_side_removes_no_file_early(
        self, database: Database, render: Render, storage: Storage, offset: timedelta
    ) -> None:
        key = f"{cleanups.folder(render.id)}late.mp4"
        storage.put(key, Path(__file__))
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, render.id), "error", message="why")
        with clock_off_by(offset):
            clean_up(database, storage)
        assert list(storage.keys(cleanups.folder(render.id))) == [key]
        with database.write() as db:
            db.query(Cleanup).delete()
        with clock_off_by(offset), database.write() as db:
            cleanups.schedule(db, render.id)
        clean_up(database, storage)
        assert list(storage.keys(cleanups.folder(render.id))) == [key]
        with database.read() as db:
            due = db.scalars(select(Cleanup.due_at)).one() - clock.now(db)
        assert abs(due - cleanups.RENDER_GRACE) < timedelta(seconds=5)


@pytest.mark.parametrize("offset", OVER_A_DAY)
class TestClockThatIsOffByMoreThanADay:
    """The limits are those of a day."""

    def test_of_the_api_voids_no_kept_answer(self, database: Database, client: Client, offset: timedelta) -> None:
        def claim() -> Answer:
            with database.write() as db:
                return answers.claim(db, client.account.id, "/renders", "key", "0" * 64)

        with clock_off_by(offset):
            first = claim()
            with database.write() as db:
                answers.complete(db, first.id, 201, "once")
            assert (claim().id, claim().status) == (first.id, 201)

    def test_of_the_api_counts_the_uploads_of_a_day(
        self, database: Database, client: Client, offset: timedelta
    ) -> None:
        with clock_off_by(offset), database.write() as db:
            digest = "0" * 64
            db.add(Model(account_id=client.account.id, original_name="a", format="glb", file_size=1, sha256=digest))
        with database.write() as db:
            with pytest.raises(UploadLimit):
                models.check_limit(db, client.account.id, 1, new=1)
            db.query(Model).one().created_at = clock.now(db) - timedelta(hours=25)
            models.check_limit(db, client.account.id, 1, new=1)

    def test_of_the_api_dates_orders_as_they_are(
        self, database: Database, model: Model, settings: Settings, doorbell: Doorbell, offset: timedelta
    ) -> None:
        """By these times outages are counted, and renders measured and deleted."""
        with clock_off_by(offset), database.write() as db:
            render = submit.render(db, model, RenderSettings(), settings, doorbell)
        with database.read() as db:
            for row in (render, *db.query(Chunk)):
                assert abs(row.created_at - clock.now(db)) < timedelta(minutes=1)
            assert abs(render.updated_at - render.created_at) < timedelta(minutes=1)

    def test_of_the_api_neither_ends_nor_extends_a_key(
        self, database: Database, client: Client, offset: timedelta
    ) -> None:
        with database.write() as db:
            raw = accounts.create_key(db, client.account, expires_at=clock.now(db) + timedelta(hours=1))
            expired = expired_key(db, client.account)
        with clock_off_by(offset), database.read() as db:
            assert accounts.authenticate(db, raw, "models:read")
            with pytest.raises(TokenExpired):
                accounts.authenticate(db, expired, "models:read")

    def test_of_the_api_dates_the_use_of_a_key_as_it_is(
        self, database: Database, client: Client, offset: timedelta
    ) -> None:
        with clock_off_by(offset), database.write() as db:
            [key] = keys_of(db, client.account)
            accounts.record_use(db, key)
            assert key.last_used_at
            assert abs(key.last_used_at - clock.now(db)) < timedelta(minutes=1)
            assert not accounts.is_use_recorded_long_ago(db, key)

    def test_of_an_operator_dates_commands_as_they_are(
        self,
        database: Database,
        client: Client,
        settings: Settings,
        offset: timedelta,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("FARM_DATA", str(settings.data))
        monkeypatch.setenv("FARM_DATABASE_URL", database.url)
        email = client.account.email
        with clock_off_by(offset):
            for words in (["accounts", "suspend", email], ["keys", "create", email, "--expires", "1h"]):
                assert CliRunner().invoke(app, words).exit_code == 0
            with database.write() as db:
                accounts.revoke_key(db, client.key)
        with database.read() as db:
            at, keys = clock.now(db), {key.expires_at is None: key for key in keys_of(db, client.account)}
            times = [db.get_one(Account, client.account.id).suspended_at, keys[True].revoked_at, keys[False].expires_at]
        for time, due in zip(times, (at, at, at + timedelta(hours=1)), strict=True):
            assert time
            assert abs(time - due) < timedelta(minutes=1)

    def test_of_an_operator_reports_no_upload_in_progress(
        self, database: Database, storage: Storage, offset: timedelta
    ) -> None:
        storage.put("models/in-progress.glb", Path(__file__))
        with clock_off_by(offset):
            assert storage_report.compare(database, storage) == ([], [])
