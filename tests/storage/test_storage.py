"""Every storage: a file is stored completely or not at all."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from api.multipart import path_of
from farm.db.tables import now
from farm.storage import Storage
from farm.storage.protocol import BLOCK_BYTES

KEY = "renders/Xz7pQ4w8nR2k/1/video.mp4"

pytestmark = pytest.mark.on_both_storages


def content(storage: Storage, key: str = KEY) -> bytes:
    return b"".join(storage.read(key))


class TestPut:
    def test_stores_the_same_bytes_that_read_returns(self, storage: Storage, source: Path) -> None:
        storage.put(KEY, source)
        assert content(storage) == source.read_bytes() == storage.local(KEY).read_bytes()

    def test_replaces_an_existing_file(self, storage: Storage, source: Path) -> None:
        storage.put(KEY, source)
        source.write_bytes(b"new")
        storage.put(KEY, source)
        assert content(storage) == b"new"

    def test_stores_nothing_from_a_missing_source(self, storage: Storage, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            storage.put(KEY, tmp_path / "nothing")
        assert list(storage.keys("renders/")) == []

    def test_accepts_an_unnamed_file_as_in_uploads(self, storage: Storage) -> None:
        with TemporaryFile() as file:
            file.write(b"unnamed")
            file.flush()
            storage.put(KEY, path_of(file))
        assert content(storage) == b"unnamed"


class TestRead:
    @pytest.mark.parametrize("start", [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES, 4 * BLOCK_BYTES])
    @pytest.mark.parametrize("length", [0, 1, 3, BLOCK_BYTES + 1, None])
    def test_returns_only_the_range(self, storage: Storage, source: Path, start: int, length: int | None) -> None:
        storage.put(KEY, source)
        end = None if length is None else start + length
        assert b"".join(storage.read(KEY, start, length)) == source.read_bytes()[start:end]

    def test_returns_blocks(self, storage: Storage, source: Path) -> None:
        storage.put(KEY, source)
        assert max(len(block) for block in storage.read(KEY)) == BLOCK_BYTES

    def test_returns_nothing_from_an_empty_file(self, storage: Storage, source: Path) -> None:
        source.write_bytes(b"")
        storage.put(KEY, source)
        assert content(storage) == b""

    @pytest.mark.parametrize("length", [None, 0, 5])
    def test_reports_a_missing_file_immediately(self, storage: Storage, length: int | None) -> None:
        with pytest.raises(FileNotFoundError):
            storage.read(KEY, 0, length)
        with pytest.raises(FileNotFoundError):
            storage.local(KEY)

    def test_continues_while_the_file_is_deleted(self, storage: Storage, source: Path) -> None:
        storage.put(KEY, source)
        blocks = storage.read(KEY)
        storage.delete(KEY)
        assert b"".join(blocks) == source.read_bytes()


class TestDelete:
    def test_removes_only_that_file(self, storage: Storage, source: Path) -> None:
        storage.put(KEY, source)
        storage.put("renders/other/1/video.mp4", source)
        storage.delete(KEY)
        assert list(storage.keys("renders/")) == ["renders/other/1/video.mp4"]
        with pytest.raises(FileNotFoundError):
            storage.read(KEY)

    def test_ignores_a_missing_file(self, storage: Storage) -> None:
        storage.delete(KEY)


class TestKeys:
    def test_are_those_below_the_prefix(self, storage: Storage, source: Path) -> None:
        source.write_bytes(b"small")
        below = {"renders/a/1/video.mp4", "renders/a/2/video.mp4", "renders/a/poster.png"}
        for key in below | {"renders/ab/1/video.mp4", "models/a.glb"}:
            storage.put(key, source)
        assert set(storage.keys("renders/a/")) == below
        assert list(storage.keys("renders/b/")) == []


class TestFiles:
    def test_lists_every_file_with_size_and_time(self, storage: Storage, source: Path) -> None:
        before = now() - timedelta(seconds=2)  # S3 knows only whole seconds
        source.write_bytes(b"small")
        for key in (KEY, "models/a.glb"):
            storage.put(key, source)
        files = sorted(storage.files())
        assert [(file.key, file.size) for file in files] == [("models/a.glb", 5), (KEY, 5)]
        assert all(before < file.written_at < now() + timedelta(seconds=2) for file in files)

    def test_is_empty_in_a_new_storage(self, storage: Storage) -> None:
        assert list(storage.files()) == []
