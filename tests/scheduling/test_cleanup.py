"""Files of deleted models and overlays stay as long as an unfinished render needs them, and no longer."""

from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import select, update

from farm.db import cleanups
from farm.db.session import Database
from farm.db.tables import Account, Cleanup, Model, Overlay, Render, now
from farm.orders.render_settings import RenderSettings
from farm.scheduling import render_status, submit
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


def kept(storage: Storage, key: str) -> bool:
    return key in storage.keys(key.partition("/")[0] + "/")


@pytest.mark.on_both_databases
class TestModels:
    def test_that_are_not_deleted_keep_their_file(self, database: Database, storage: Storage, stored: Model) -> None:
        clean_up(database, storage)
        assert kept(storage, stored.storage_key)

    def test_lose_it_once_the_last_render_is_done(
        self, database: Database, storage: Storage, stored: Model, render: Render
    ) -> None:
        delete(database, stored)
        clean_up(database, storage)
        assert kept(storage, stored.storage_key)
        finish(database, render)
        clean_up(database, storage)
        assert not kept(storage, stored.storage_key)
        with database.read() as db:
            assert db.get_one(Render, render.id).status == "done"
            assert not db.get_one(Model, stored.id).has_file

    def test_keep_it_for_a_moment_since_a_request_may_be_under_way(
        self, database: Database, storage: Storage, stored: Model
    ) -> None:
        delete(database, stored, DELETION_GRACE / 2)
        clean_up(database, storage)
        assert kept(storage, stored.storage_key)


@pytest.mark.on_both_databases
class TestOverlays:
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

    def test_go_with_their_file_once_no_render_under_way_names_them(
        self,
        database: Database,
        storage: Storage,
        overlay: Overlay,
        model: Model,
        settings: Settings,
        redis: Redis,
    ) -> None:
        with database.write() as db:
            naming, other = (submit.render(db, model, RenderSettings(), settings, Doorbell(redis)) for _ in range(2))
            naming.settings = {**naming.settings, "bgImageId": overlay.id}
        delete(database, overlay)
        clean_up(database, storage)
        assert kept(storage, overlay.storage_key)
        finish(database, naming)
        clean_up(database, storage)
        assert not kept(storage, overlay.storage_key)
        with database.read() as db:
            assert db.get(Overlay, overlay.id) is None
            assert db.get_one(Render, other.id).status == "pending"


class ThatTellsTheDatabase(FolderStorage):
    """A storage that writes to the database whenever it deletes, as everyone else may meanwhile."""

    def __init__(self, root: Path, database: Database) -> None:
        super().__init__(root)
        self.database = database

    def delete(self, key: str) -> None:
        with self.database.write() as db:
            db.execute(update(Account).values(credits=Account.credits))
        super().delete(key)


def test_no_transaction_waits_for_the_storage(
    settings: Settings, database: Database, storage: Storage, stored: Model, model: Model
) -> None:
    delete(database, stored)
    with database.write() as db:
        db.add(Cleanup(prefix="renders/Xz7pQ4w8nR2k/", due_at=now() - LONG_AGO))
    storage.put("renders/Xz7pQ4w8nR2k/left.mp4", settings.data / "plinth.db")
    clean_up(database, ThatTellsTheDatabase(settings.files, database))
    assert not kept(storage, model.storage_key)
    assert not kept(storage, "renders/Xz7pQ4w8nR2k/left.mp4")
    with database.read() as db:
        assert db.scalars(select(Cleanup)).all() == []


class TestUploads:
    """Files that were stored for a model or an overlay whose row never came: whoever received them died."""

    @pytest.fixture
    def nearly_kept(self, database: Database, storage: Storage, model: Model, tmp_path: Path) -> Cleanup:
        """A file on its way to become a model, beside one that is one; its time is over."""
        (tmp_path / "file").write_bytes(b"glTF")
        for key in ("models/Xz7pQ4w8nR2k.glb", "models/Xz7pQ4w8nR2k.glb.put-half", model.storage_key):
            storage.put(key, tmp_path / "file")
        with database.write() as db:
            sweep = cleanups.schedule_upload(db, "models/Xz7pQ4w8nR2k.glb")
            sweep.due_at = now() - LONG_AGO
        return sweep

    def test_go_and_no_other_file_goes(self, database: Database, storage: Storage, nearly_kept: Cleanup) -> None:
        clean_up(database, storage)
        with database.read() as db:
            assert set(storage.keys("models/")) == {model.storage_key for model in db.scalars(select(Model))}
            assert db.get(Cleanup, nearly_kept.id) is None

    @pytest.mark.usefixtures("nearly_kept")
    def test_stay_where_the_row_came_in_the_last_moment(
        self, database: Database, storage: Storage, model: Model
    ) -> None:
        with database.write() as db:
            late = Model(id="Xz7pQ4w8nR2k", account_id=model.account_id, original_name="b.glb", format="glb")
            late.file_size, late.sha256 = 4, "1" * 64
            db.add(late)
        clean_up(database, storage)
        assert kept(storage, "models/Xz7pQ4w8nR2k.glb")
        assert not kept(storage, "models/Xz7pQ4w8nR2k.glb.put-half")

    def test_are_not_looked_for_before_they_can_be_stored(self, database: Database, storage: Storage) -> None:
        with database.write() as db:
            cleanups.schedule_upload(db, "models/Xz7pQ4w8nR2k.glb")
        storage.put("models/Xz7pQ4w8nR2k.glb", Path(__file__))
        clean_up(database, storage)
        assert kept(storage, "models/Xz7pQ4w8nR2k.glb")
