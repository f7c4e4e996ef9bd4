"""Publishing an attempt's files: in the storage and in the database, both or neither."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from farm.db.session import Database
from farm.db.tables import Chunk, Render
from farm.errors import Unavailable
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings
from farm.storage import open_storage
from farm.worker import publishing
from farm.worker.lease import Lease
from tests.support.chunks import as_claimed, claimed

KEY = "renders/Xz7pQ4w8nR2k/1/video.mp4"


class TestStored:
    @pytest.mark.parametrize(
        ("error", "stays"),
        [
            pytest.param(ValueError(), False, id="rolled back"),
            pytest.param(
                OperationalError("COMMIT", {}, Exception("server closed the connection")),
                True,
                id="commit unknown",
            ),
            pytest.param(Unavailable(), True, id="storage down"),
        ],
    )
    def test_removes_stored_files_that_no_row_can_name(
        self,
        settings: Settings,
        database: Database,
        doorbell: Doorbell,
        render: Render,
        tmp_path: Path,
        error: Exception,
        stays: bool,
    ) -> None:
        storage, file = open_storage(settings), tmp_path / "video.mp4"
        file.write_bytes(b"moov")
        with database.write() as db:
            chunk = claimed(db, db.scalars(select(Chunk).where(Chunk.shot_id == render.shot_id)).all()[0])
            lease = Lease(database, doorbell, as_claimed(chunk), 30, lambda _: None)
        with pytest.raises(type(error)), publishing.stored(storage, lease, {KEY: file}):
            raise error
        assert list(storage.keys("renders/")) == ([KEY] if stays else [])
