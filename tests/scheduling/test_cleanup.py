"""Cleanup removes files that no row and no unfinished render needs, and no others."""

from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import select, update

from farm.accounts import erasure
from farm.db import answers, cleanups, clock, counters, overlays
from farm.db.session import Database
from farm.db.tables import Account, Answer, Cleanup, Model, Overlay, Render, now
from farm.orders.render_settings import RenderSettings
from farm.scheduling import cleanup, render_status, submit
from farm.scheduling.cleanup import DELETION_GRACE, clean_up
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings
from farm.storage import Storage
from farm.storage.folder import FolderStorage
from tests.support.clients import Client

LONG_AGO = timedelta(hours=1)


@pytest.fixture
def stored(model: Model, storage: Storage, tmp_path: Path) -> Model:
    """The model, with its file."""
    (tmp_path / "file").write_bytes(b"glTF")
    storage.put(model.storage_key, tmp_path / "file")
    return model


def delete(database: Database, row: Model | Overlay, ago: timedelta = LONG_AGO) -> None:
    with database.write() as db:
        db.merge(row).deleted_at = now() - ago


def finish(database: Database, render: Render) -> None:
    with database.write() as db:
        for status in render_status.ORDER[1:]:
            render_status.advance(db, db.get_one(Render, render.id), status)


def is_stored(storage: Storage, key: str) -> bool:
    return key in storage.keys(key.partition("/")[0] + "/")


@pytest.mark.on_both_databases
class TestModelFile:
    def test_stays_while_the_model_is_not_deleted(self, database: Database, storage: Storage, stored: Model) -> None:
        clean_up(database, storage)
        assert is_stored(storage, stored.storage_key)

    def test_is_removed_once_the_last_render_is_done(
        self, database: Database, storage: Storage, stored: Model, render: Render
    ) -> None:
        delete(database, stored)
        clean_up(database, storage)
        assert is_stored(storage, stored.storage_key)
        finish(database, render)
        clean_up(database, storage)
        assert not is_stored(storage, stored.storage_key)
        with database.read() as db:
            assert db.get_one(Render, render.id).status == "done"
            assert not db.get_one(Model, stored.id).has_file

    def test_stays_for_a_grace_period_after_the_deletion(
        self, database: Database, storage: Storage, stored: Model
    ) -> None:
        delete(database, stored, DELETION_GRACE / 2)
        clean_up(database, storage)
        assert is_stored(storage, stored.storage_key)


@pytest.mark.on_both_databases
class TestOverlay:
    @pytest.fixture
    def overlay(self, database: Database, client: Client, storage: Storage, tmp_path: Path) -> Overlay:
        (tmp_path / "file").write_bytes(b"png")
        storage.put("overlays/a.png", tmp_path / "file")
        with database.write() as db:
            overlay = Overlay(account_id=client.account.id, layer="background", alignment="center")
            overlay.storage_key, overlay.content_type = "overlays/a.png", "image/png"
            overlay.width = overlay.height = overlay.file_size = 1
            db.add(overlay)
        return overlay

    def test_is_removed_once_no_unfinished_render_uses_it(
        self,
        database: Database,
        storage: Storage,
        overlay: Overlay,
        model: Model,
        settings: Settings,
        redis: Redis,
    ) -> None:
        with database.write() as db:
            user, other = (submit.render(db, model, RenderSettings(), settings, Doorbell(redis)) for _ in range(2))
            user.settings = {**user.settings, "bgImageId": overlay.id}
        delete(database, overlay)
        clean_up(database, storage)
        assert is_stored(storage, overlay.storage_key)
        finish(database, user)
        clean_up(database, storage)
        assert not is_stored(storage, overlay.storage_key)
        with database.read() as db:
            assert db.get(Overlay, overlay.id) is None
            assert db.get_one(Render, other.id).status == "pending"


class StorageThatWritesToTheDatabase(FolderStorage):
    """Writes to the database on every deletion, as other processes may do at the same time."""

    def __init__(self, root: Path, database: Database) -> None:
        super().__init__(root)
        self.database = database

    def delete(self, key: str) -> None:
        with self.database.write() as db:
            db.execute(update(Account).values(credits=Account.credits))
        super().delete(key)


class TestCleanUp:
    def test_holds_no_transaction_while_the_storage_works(
        self, settings: Settings, database: Database, storage: Storage, stored: Model, model: Model
    ) -> None:
        delete(database, stored)
        with database.write() as db:
            db.add(Cleanup(prefix="renders/Xz7pQ4w8nR2k/", due_at=now() - LONG_AGO))
        storage.put("renders/Xz7pQ4w8nR2k/left.mp4", settings.data / "plinth.db")
        clean_up(database, StorageThatWritesToTheDatabase(settings.files, database))
        assert not is_stored(storage, model.storage_key)
        assert not is_stored(storage, "renders/Xz7pQ4w8nR2k/left.mp4")
        with database.read() as db:
            assert db.scalars(select(Cleanup)).all() == []


class StorageThatErases(FolderStorage):
    """Erases the account on every deletion, as an operator may do at the same time."""

    def __init__(self, root: Path, database: Database, account_id: str) -> None:
        super().__init__(root)
        self.database, self.account_id = database, account_id

    def delete(self, key: str) -> None:
        with self.database.write() as db:
            erasure.erase(db, self.account_id, render_status.OVER)
        super().delete(key)


@pytest.mark.on_both_databases
def test_accepts_that_a_row_is_erased_meanwhile(
    settings: Settings, database: Database, storage: Storage, stored: Model
) -> None:
    delete(database, stored)
    clean_up(database, StorageThatErases(settings.files, database, stored.account_id))
    assert not is_stored(storage, stored.storage_key)
    with database.read() as db:
        assert db.get(Model, stored.id) is None
        assert counters.REAPER_FAILURES.totals(db) == {}


class StorageWithStuckFiles(FolderStorage):
    """Cannot remove the files that have STUCK in their keys."""

    def delete(self, key: str) -> None:
        if STUCK in key:
            raise PermissionError(13, "Permission denied")
        super().delete(key)


STUCK = "stuck"


@pytest.mark.on_both_databases
class TestStuckFile:
    def test_keeps_no_other_file(self, settings: Settings, database: Database, storage: Storage, stored: Model) -> None:
        with database.write() as db:
            others = [f"renders/Xz7pQ4w8nR2{number}/" for number in range(3)]
            for prefix in others:
                db.add(Cleanup(prefix=prefix, due_at=now() - LONG_AGO))
            stuck = Model(account_id=stored.account_id, original_name="b.glb", format="glb", file_size=1)
            stuck.id, stuck.sha256, stuck.deleted_at = f"{STUCK}0000000", "1" * 64, now() - LONG_AGO
            db.add(stuck)
        for prefix in others:
            for name in (f"{STUCK}.mp4", "thumb.mp4"):
                storage.put(f"{prefix}{name}", Path(__file__))
        storage.put(stuck.storage_key, Path(__file__))
        delete(database, stored)
        clean_up(database, StorageWithStuckFiles(settings.files))
        assert set(storage.keys("renders/")) == {f"{prefix}{STUCK}.mp4" for prefix in others}
        assert list(storage.keys("models/")) == [stuck.storage_key]
        with database.read() as db:
            assert counters.REAPER_FAILURES.totals(db) == {("files",): 4}
            assert db.query(Cleanup).filter(Cleanup.due_at < clock.now(db)).count() == 0, "others come first"
            assert db.query(Cleanup).filter_by(prefix=stuck.storage_key).count() == 1
            assert not db.get_one(Model, stuck.id).has_file
            assert not db.get_one(Model, stored.id).has_file

    def test_of_a_deleted_row_is_tried_again_only_later(
        self, settings: Settings, database: Database, storage: Storage, client: Client
    ) -> None:
        with database.write() as db:
            model = Model(account_id=client.account.id, original_name="b.glb", format="glb", file_size=1)
            model.id, model.sha256, model.deleted_at = f"{STUCK}0000000", "1" * 64, now() - LONG_AGO
            overlay = Overlay(account_id=client.account.id, layer="background", alignment="center")
            overlay.storage_key, overlay.content_type = f"overlays/{STUCK}0000001.png", "image/png"
            overlay.id, overlay.deleted_at = f"{STUCK}0000001", now() - LONG_AGO
            overlay.width = overlay.height = overlay.file_size = 1
            db.add_all([model, overlay])
        keys = [model.storage_key, overlay.storage_key]
        for key in keys:
            storage.put(key, Path(__file__))
        for _ in range(3):
            clean_up(database, StorageWithStuckFiles(settings.files))
        with database.write() as db:
            assert counters.REAPER_FAILURES.totals(db) == {("files",): 2}, "each once"
            assert sorted(db.scalars(select(Cleanup.prefix))) == keys
            db.execute(update(Cleanup).values(due_at=now() - LONG_AGO))
        clean_up(database, storage)
        assert not any(is_stored(storage, key) for key in keys)

    def test_in_a_folder_that_cannot_be_read_is_tried_again_later(
        self, database: Database, storage: Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = "renders/Xz7pQ4w8nR2k/video.mp4"
        storage.put(key, Path(__file__))
        with database.write() as db:
            db.add(Cleanup(prefix=key, due_at=now() - LONG_AGO))
        with monkeypatch.context() as broken:
            broken.setattr(type(storage), "keys", lambda *_: iter(1 / 0 for _ in range(1)))
            for _ in range(2):
                clean_up(database, storage)
        assert is_stored(storage, key)
        with database.write() as db:
            assert counters.REAPER_FAILURES.totals(db) == {("cleanups",): 1}
            db.query(Cleanup).one().due_at = now() - LONG_AGO
        clean_up(database, storage)
        assert not is_stored(storage, key)

    def test_and_a_query_that_fails_keep_no_other_file(
        self, database: Database, storage: Storage, stored: Model, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(overlays, "unneeded", lambda *_, **__: 1 / 0)
        delete(database, stored)
        clean_up(database, storage)
        assert not is_stored(storage, stored.storage_key)
        with database.read() as db:
            assert counters.REAPER_FAILURES.totals(db) == {("overlays",): 1}

    def test_is_removed_once_that_is_possible(self, settings: Settings, database: Database, storage: Storage) -> None:
        key = f"renders/{STUCK}0000000/video.mp4"
        storage.put(key, Path(__file__))
        with database.write() as db:
            db.add(Cleanup(prefix=key, due_at=now() - LONG_AGO))
        clean_up(database, StorageWithStuckFiles(settings.files))
        with database.write() as db:
            db.query(Cleanup).one().due_at = now() - LONG_AGO
        clean_up(database, storage)
        assert not is_stored(storage, key)
        with database.read() as db:
            assert db.query(Cleanup).count() == 0


@pytest.mark.on_both_databases
class TestPass:
    @pytest.fixture(autouse=True)
    def _due(self, database: Database, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        """Seven files to be removed, in batches of two."""
        monkeypatch.setattr(cleanup, "BATCH", 2)
        with database.write() as db:
            for number in range(7):
                storage.put(f"renders/Xz7pQ4w8nR2{number}/video.mp4", Path(__file__))
                db.add(Cleanup(prefix=f"renders/Xz7pQ4w8nR2{number}/", due_at=now() - LONG_AGO))

    def test_goes_on_until_no_cleanup_is_due(self, database: Database, storage: Storage) -> None:
        clean_up(database, storage)
        assert list(storage.keys("renders/")) == []

    def test_ends_when_the_storage_fails(self, settings: Settings, database: Database, storage: Storage) -> None:
        storage.put(f"renders/Xz7pQ4w8nR20/{STUCK}.mp4", Path(__file__))
        with database.write() as db:
            first = db.query(Cleanup).filter_by(prefix="renders/Xz7pQ4w8nR20/").one()
            first.due_at = now() - 2 * LONG_AGO
        clean_up(database, StorageWithStuckFiles(settings.files))
        with database.read() as db:
            assert db.query(Cleanup).filter(Cleanup.due_at < clock.now(db)).count() == 5

    def test_is_bounded(self, database: Database, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cleanup, "MAX_BATCHES_PER_PASS", 2)
        clean_up(database, storage)
        assert len(list(storage.keys("renders/"))) == 3


class TestUpload:
    """A file that was stored for a row that was never committed, as its process ended before."""

    @pytest.fixture
    def due(self, database: Database, storage: Storage, model: Model, tmp_path: Path) -> Cleanup:
        """The due cleanup of an uploaded file without a row, beside the file of a model."""
        (tmp_path / "file").write_bytes(b"glTF")
        for key in ("models/Xz7pQ4w8nR2k.glb", "models/Xz7pQ4w8nR2k.glb.put-half", model.storage_key):
            storage.put(key, tmp_path / "file")
        with database.write() as db:
            cleanup = cleanups.schedule_upload(db, "models/Xz7pQ4w8nR2k.glb")
            cleanup.due_at = now() - LONG_AGO
        return cleanup

    def test_is_removed_without_other_files(self, database: Database, storage: Storage, due: Cleanup) -> None:
        clean_up(database, storage)
        with database.read() as db:
            assert set(storage.keys("models/")) == {model.storage_key for model in db.scalars(select(Model))}
            assert db.get(Cleanup, due.id) is None

    @pytest.mark.usefixtures("due")
    def test_stays_when_its_row_was_committed_late(self, database: Database, storage: Storage, model: Model) -> None:
        with database.write() as db:
            late = Model(id="Xz7pQ4w8nR2k", account_id=model.account_id, original_name="b.glb", format="glb")
            late.file_size, late.sha256 = 4, "1" * 64
            db.add(late)
        clean_up(database, storage)
        assert is_stored(storage, "models/Xz7pQ4w8nR2k.glb")
        assert not is_stored(storage, "models/Xz7pQ4w8nR2k.glb.put-half")

    def test_stays_until_its_cleanup_is_due(self, database: Database, storage: Storage) -> None:
        with database.write() as db:
            cleanups.schedule_upload(db, "models/Xz7pQ4w8nR2k.glb")
        storage.put("models/Xz7pQ4w8nR2k.glb", Path(__file__))
        clean_up(database, storage)
        assert is_stored(storage, "models/Xz7pQ4w8nR2k.glb")


@pytest.mark.on_both_databases
class TestAnswers:
    def test_are_deleted_after_a_day(self, database: Database, storage: Storage, client: Client) -> None:
        with database.write() as db:
            for key, age in (("old", timedelta(hours=24, minutes=1)), ("new", timedelta(hours=23, minutes=59))):
                answer = answers.claim(db, client.account.id, "/renders", key, "0" * 64)
                answer.created_at = now() - age
        clean_up(database, storage)
        with database.read() as db:
            assert list(db.scalars(select(Answer.key))) == ["new"]
