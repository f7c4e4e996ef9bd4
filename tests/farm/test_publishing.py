"""Files of an attempt: in the storage and in the database, both or neither."""

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from farm.queue import publishing
from farm.settings import Settings
from farm.storage import open_storage

KEY = "renders/Xz7pQ4w8nR2k/1/video.mp4"


@pytest.mark.parametrize(
    ("trouble", "stays"),
    [
        pytest.param(ValueError(), False, id="nothing was committed"),
        pytest.param(OperationalError("COMMIT", {}, Exception("server closed the connection")), True, id="who knows"),
    ],
)
def test_files_stay_only_where_a_row_may_name_them(
    settings: Settings, tmp_path: Path, trouble: Exception, stays: bool
) -> None:
    storage, file = open_storage(settings), tmp_path / "video.mp4"
    file.write_bytes(b"moov")
    with pytest.raises(type(trouble)), publishing.stored(storage, {KEY: file}):
        raise trouble
    assert list(storage.keys("renders/")) == ([KEY] if stays else [])
