"""The purge removes rows and files that were kept for their time, and nothing else."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from farm.db import attempt_logs, counters, renders
from farm.db.session import Database
from farm.db.tables import Asset, AttemptLog, Chunk, Cleanup, LedgerEntry, Model, Overlay, Render, Shot, Tag, now
from farm.errors import BadModel, BlenderCrashed, FarmError, OpeningTimeout, OverBudget
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, purge, render_status, submit
from farm.scheduling.cleanup import clean_up
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings
from farm.storage import Storage
from tests.support.api import count, stored
from tests.support.chunks import claimed
from tests.support.finished_renders import Finish
from tests.support.polling import until

pytestmark = pytest.mark.on_both_databases

DAYS = 30
LONG_AGO = timedelta(days=DAYS, minutes=1)


@pytest.fixture
def keeping(settings: Settings) -> Settings:
    """The settings of a farm that keeps everything for 30 days."""
    names = ("retention_renders_days", "retention_failed_models_days", "retention_deleted_days")
    return settings.model_copy(update=dict.fromkeys(names, DAYS))


@pytest.fixture
def file(model: Model, storage: Storage, tmp_path: Path) -> str:
    """The storage key of the model's file."""
    (tmp_path / "file").write_bytes(b"glTF")
    storage.put(model.storage_key, tmp_path / "file")
    return model.storage_key


@pytest.fixture
def preview(database: Database, model: Model, settings: Settings, doorbell: Doorbell) -> Render:
    with database.write() as db:
        return submit.preview(db, model, settings, doorbell)


def end(database: Database, render: Render, error: FarmError, doorbell: Doorbell) -> None:
    """Let every attempt at the first frames of a render fail."""
    with database.write() as db:
        chunk = db.scalars(select(Chunk).where(Chunk.shot_id == render.shot_id).order_by(Chunk.first_frame)).first()
        assert chunk
        held = claimed(db, chunk)
        leases.fail(db, doorbell, held.id, held.attempt, error, max_attempts=1)


def age(database: Database) -> None:
    """Move every end, failure and deletion a month back."""
    with database.write() as db:
        db.execute(update(Render).values(updated_at=now() - LONG_AGO))
        db.execute(update(Model).where(Model.failed_at.is_not(None)).values(failed_at=now() - LONG_AGO))
        db.execute(update(Model).where(Model.deleted_at.is_not(None)).values(deleted_at=now() - LONG_AGO))


def purged(database: Database) -> dict[str, float]:
    with database.read() as db:
        return {what: number for (what,), number in counters.PURGED.totals(db).items()}


def refuse(*_: object) -> None:
    raise PermissionError("Operation not permitted")


class TestFinishedRender:
    def test_is_removed_with_its_rows_and_files_after_its_time(
        self, database: Database, storage: Storage, keeping: Settings, render: Render, finished: Finish
    ) -> None:
        finished(render.id)
        with database.write() as db:
            chunk = db.scalars(select(Chunk).where(Chunk.shot_id == render.shot_id)).first()
            assert chunk
            attempt_logs.store(db, chunk.id, 1, "w", "log")
        purge.purge(database, storage, keeping)
        assert len(stored(storage)) == count(database, Asset) > 0
        age(database)
        purge.purge(database, storage, keeping)
        assert stored(storage) == []
        assert [count(database, table) for table in (Render, Shot, Chunk, Asset, AttemptLog)] == [0] * 5
        assert (count(database, Model), count(database, LedgerEntry)) == (1, 2), "the grant and the charge"
        assert purged(database) == {"renders": 1}

    def test_stays_by_default(
        self, database: Database, storage: Storage, settings: Settings, render: Render, finished: Finish
    ) -> None:
        finished(render.id)
        age(database)
        purge.purge(database, storage, settings)
        assert count(database, Render) == 1

    def test_stays_while_it_is_not_over(
        self, database: Database, storage: Storage, keeping: Settings, render: Render
    ) -> None:
        age(database)
        purge.purge(database, storage, keeping)
        with database.read() as db:
            assert db.get_one(Render, render.id).status == "pending"

    def test_stays_when_it_was_queued_again_meanwhile(
        self,
        database: Database,
        storage: Storage,
        keeping: Settings,
        render: Render,
        finished: Finish,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        finished(render.id)
        monkeypatch.setattr("farm.db.renders.finished", lambda *_, **__: [render.id])
        purge.purge(database, storage, keeping)
        assert count(database, Render) == 1

    def test_leaves_files_that_cannot_be_removed_to_the_cleanup(
        self,
        database: Database,
        storage: Storage,
        keeping: Settings,
        render: Render,
        finished: Finish,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        finished(render.id)
        age(database)
        with monkeypatch.context() as broken:
            broken.setattr(type(storage), "delete", refuse)
            purge.purge(database, storage, keeping)
        assert count(database, Render) == 0
        assert stored(storage) != []
        with database.write() as db:
            db.execute(update(Cleanup).values(due_at=now() - timedelta(seconds=1)))
        clean_up(database, storage)
        assert stored(storage) == []


class TestFailedModel:
    @pytest.mark.usefixtures("file")
    @pytest.mark.parametrize("error", [BadModel("no mesh"), OpeningTimeout(1), OverBudget(1, 1)])
    def test_is_removed_with_its_file_and_its_failed_renders(
        self,
        database: Database,
        storage: Storage,
        keeping: Settings,
        preview: Render,
        render: Render,
        doorbell: Doorbell,
        error: FarmError,
    ) -> None:
        for each in (preview, render):
            end(database, each, error, doorbell)
        purge.purge(database, storage, keeping)
        assert count(database, Render) == 2
        age(database)
        purge.purge(database, storage, keeping)
        assert count(database, Render) == 0
        age(database)
        clean_up(database, storage)
        purge.purge(database, storage, keeping)
        assert (count(database, Model), stored(storage)) == (0, [])
        assert purged(database) == {"renders": 2, "models": 1}

    @pytest.mark.usefixtures("model")
    def test_stays_when_the_farm_was_the_cause(
        self, database: Database, storage: Storage, keeping: Settings, preview: Render, doorbell: Doorbell
    ) -> None:
        end(database, preview, BlenderCrashed(), doorbell)
        age(database)
        purge.purge(database, storage, keeping.model_copy(update={"retention_renders_days": None}))
        with database.read() as db:
            assert [model.deleted_at for model in db.scalars(select(Model))] == [None]

    @pytest.mark.parametrize("status", ["pending", "done"])
    def test_stays_when_a_render_of_it_is_not_an_error(
        self,
        database: Database,
        storage: Storage,
        keeping: Settings,
        preview: Render,
        render: Render,
        doorbell: Doorbell,
        status: str,
    ) -> None:
        end(database, preview, BadModel("no mesh"), doorbell)
        with database.write() as db:
            for step in render_status.ORDER[1 : render_status.ORDER.index(status) + 1]:
                render_status.advance(db, db.get_one(Render, render.id), step)
        age(database)
        purge.purge(database, storage, keeping.model_copy(update={"retention_renders_days": None}))
        with database.read() as db:
            assert [model.deleted_at for model in db.scalars(select(Model))] == [None]


class TestDeletedModel:
    @pytest.fixture
    def deleted(self, database: Database, storage: Storage, model: Model) -> Model:
        """The model with a tag, deleted long ago, without a file."""
        with database.write() as db:
            db.add(Tag(model_id=model.id, tag="chair", position=0))
            db.get_one(Model, model.id).deleted_at = now()
        age(database)
        clean_up(database, storage)
        return model

    @pytest.mark.usefixtures("deleted")
    def test_is_removed_after_its_time(self, database: Database, storage: Storage, keeping: Settings) -> None:
        purge.purge(database, storage, keeping)
        assert (count(database, Model), count(database, Tag)) == (0, 0)
        assert purged(database) == {"models": 1}

    @pytest.mark.usefixtures("deleted")
    def test_stays_before(self, database: Database, storage: Storage, keeping: Settings) -> None:
        purge.purge(database, storage, keeping.model_copy(update={"retention_deleted_days": DAYS + 1}))
        assert count(database, Model) == 1

    def test_stays_for_the_day_of_the_upload_limit(self) -> None:
        with pytest.raises(ValidationError):
            Settings(retention_deleted_days=0)

    def test_stays_as_long_as_its_file(
        self, database: Database, storage: Storage, keeping: Settings, deleted: Model
    ) -> None:
        with database.write() as db:
            db.get_one(Model, deleted.id).has_file = True
        purge.purge(database, storage, keeping)
        assert count(database, Model) == 1

    def test_stays_as_long_as_a_render(
        self, database: Database, storage: Storage, keeping: Settings, render: Render, deleted: Model
    ) -> None:
        keeping = keeping.model_copy(update={"retention_renders_days": None})
        with database.write() as db:
            for status in render_status.ORDER[1:]:
                render_status.advance(db, db.get_one(Render, render.id), status)
        age(database)
        clean_up(database, storage)
        purge.purge(database, storage, keeping)
        with database.read() as db:
            assert db.get_one(Render, render.id).model_id == deleted.id


class TestPass:
    def test_goes_on_after_a_row_that_fails(
        self,
        database: Database,
        storage: Storage,
        keeping: Settings,
        model: Model,
        settings: Settings,
        doorbell: Doorbell,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with database.write() as db:
            first, second = (submit.render(db, model, RenderSettings(), settings, doorbell) for _ in range(2))
            for render in (first, second):
                render_status.advance(db, render, "error", message="why")
        age(database)
        remove = renders.remove

        def fail_for_the_first(db: Session, render: Render) -> list[str]:
            if render.id == first.id:
                raise ZeroDivisionError
            return remove(db, render)

        monkeypatch.setattr("farm.db.renders.remove", fail_for_the_first)
        purge.purge(database, storage, keeping)
        with database.read() as db:
            assert list(db.scalars(select(Render.id))) == [first.id]
            assert counters.REAPER_FAILURES.totals(db) == {("purge",): 1}

    def test_comes_to_every_row_even_if_the_oldest_ones_fail(
        self,
        database: Database,
        storage: Storage,
        keeping: Settings,
        model: Model,
        settings: Settings,
        doorbell: Doorbell,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(purge, "MAX_ROWS_PER_PASS", 2)
        with database.write() as db:
            rows = [submit.render(db, model, RenderSettings(), settings, doorbell) for _ in range(4)]
            for render in rows:
                render_status.advance(db, render, "error", message="why")
        age(database)
        with database.write() as db:
            db.execute(update(Render).where(Render.id != rows[-1].id).values(updated_at=now() - 2 * LONG_AGO))
        remove = renders.remove

        def fail_but_for_the_newest(db: Session, render: Render) -> list[str]:
            if render.id != rows[-1].id:
                raise ZeroDivisionError
            return remove(db, render)

        monkeypatch.setattr("farm.db.renders.remove", fail_but_for_the_newest)

        def is_removed() -> bool:
            purge.purge(database, storage, keeping)
            return count(database, Render) == 3

        until(is_removed)

    def test_is_bounded(
        self,
        database: Database,
        storage: Storage,
        keeping: Settings,
        model: Model,
        settings: Settings,
        doorbell: Doorbell,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(purge, "MAX_ROWS_PER_PASS", 2)
        with database.write() as db:
            for _ in range(3):
                render = submit.render(db, model, RenderSettings(), settings, doorbell)
                render_status.advance(db, render, "error", message="why")
        age(database)
        left = []
        for _ in range(2):
            purge.purge(database, storage, keeping)
            left.append(count(database, Render))
        assert left == [1, 0]


class TestOverlay:
    def test_is_counted_when_it_is_removed(self, database: Database, storage: Storage, model: Model) -> None:
        with database.write() as db:
            overlay = Overlay(account_id=model.account_id, layer="background", alignment="center")
            overlay.storage_key, overlay.content_type = "overlays/a.png", "image/png"
            overlay.width = overlay.height = overlay.file_size = 1
            overlay.deleted_at = now() - LONG_AGO
            db.add(overlay)
        clean_up(database, storage)
        assert count(database, Overlay) == 0
        assert purged(database) == {"overlays": 1}
