"""The reaper while the storage does not respond."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from farm.db.session import Database
from farm.db.tables import Chunk, Cleanup, Render, now
from farm.scheduling import reaper
from farm.settings import Settings
from tests.support import s3
from tests.support.chunks import claimed
from tests.support.polling import until

TIMEOUT_SECONDS = 5.0  # half of the time after which a request to the storage fails for the first time


@pytest.fixture
def storage_kind() -> str:
    return "s3"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"lease_seconds": 0.6})


@pytest.fixture
def reaping(settings: Settings) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=reaper.run, args=(settings, stop))
    thread.start()
    yield
    stop.set()
    thread.join()


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
