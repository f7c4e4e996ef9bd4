"""The reaper as it runs, also while the storage does not respond."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import structlog
from sqlalchemy import select

from farm.db.session import Database
from farm.db.tables import Chunk, Cleanup, Model, Render, now
from farm.scheduling import reaper
from farm.settings import Settings
from tests.support import s3
from tests.support.api import count
from tests.support.chunks import claimed
from tests.support.polling import until

TIMEOUT_SECONDS = 5.0  # half of the time after which a request to the storage fails for the first time


@pytest.fixture
def storage_kind() -> str:
    return "s3"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"lease_seconds": 0.6})


@contextmanager
def reaping_with(settings: Settings) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=reaper.run, args=(settings, stop))
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.fixture
def reaping(settings: Settings) -> Iterator[None]:
    with reaping_with(settings):
        yield


class TestReaper:
    @pytest.mark.usefixtures("reaping")
    def test_requeues_chunks_while_the_storage_hangs(
        self, database: Database, render: Render, s3_door: s3.Door
    ) -> None:
        s3_door.silent = True
        with database.write() as db:
            db.add(Cleanup(prefix=f"renders/{render.id}/", due_at=now() - timedelta(seconds=1)))
        until(lambda: s3_door.asked, timeout_seconds=TIMEOUT_SECONDS)
        with database.write() as db:
            chunk = claimed(db, db.scalars(select(Chunk).where(Chunk.shot_id == render.shot_id)).all()[0], seconds=-1)

        def requeued() -> bool:
            with database.read() as db:
                return db.get_one(Chunk, chunk.id).state == "queued"

        until(requeued, timeout_seconds=TIMEOUT_SECONDS)

    def test_logs_a_database_that_is_down_without_a_traceback(self, settings: Settings) -> None:
        url = "postgresql://127.0.0.1:1/closed-port"
        with (
            structlog.testing.capture_logs() as lines,
            reaping_with(settings.model_copy(update={"database_url": url, "lease_seconds": 0.6})),
        ):
            line = until(lambda: [line for line in lines if line["event"] == "reaper_failed"])[0]
        assert line["exc_info"] is False
        assert "\n" not in line["error"]

    def test_purges_what_was_kept_for_its_time(
        self, database: Database, model: Model, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reaper, "PURGE_INTERVAL_SECONDS", 0.05)
        with database.write() as db:
            row = db.get_one(Model, model.id)
            row.deleted_at, row.has_file = now() - timedelta(days=settings.retention_deleted_days + 1), False
        with reaping_with(settings):
            until(lambda: count(database, Model), lambda models: models == 0, timeout_seconds=TIMEOUT_SECONDS)
