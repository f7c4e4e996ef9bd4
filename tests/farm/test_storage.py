"""Files in a folder: there whole or not at all."""

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest

from farm.storage import BLOCK, FolderStorage

KEY = "renders/Xz7pQ4w8nR2k/1/video.mp4"


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "files")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 3 * (BLOCK // 256) + b"end")
    return path


def everything(storage: FolderStorage) -> list[Path]:
    return sorted(storage.root.rglob("*"))


class TestPut:
    def test_then_read_gives_the_same_bytes(self, storage: FolderStorage, source: Path) -> None:
        storage.put(KEY, source)
        assert b"".join(storage.read(KEY)) == source.read_bytes() == storage.local(KEY).read_bytes()

    def test_replaces_what_was_there(self, storage: FolderStorage, source: Path) -> None:
        storage.put(KEY, source)
        source.write_bytes(b"new")
        storage.put(KEY, source)
        assert b"".join(storage.read(KEY)) == b"new"

    def test_that_fails_leaves_the_old_file_and_nothing_else(
        self, storage: FolderStorage, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage.put(KEY, source)
        before, files = source.read_bytes(), everything(storage)

        def fail(_: int) -> None:
            raise OSError("No space left on device")

        monkeypatch.setattr("farm.storage.os.fsync", fail)
        source.write_bytes(b"new")
        with pytest.raises(OSError, match="No space"):
            storage.put(KEY, source)
        assert b"".join(storage.read(KEY)) == before
        assert everything(storage) == files

    def test_of_a_missing_source_leaves_nothing(self, storage: FolderStorage, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            storage.put(KEY, tmp_path / "nothing")
        assert not [path for path in everything(storage) if path.is_file()]


class TestRead:
    @pytest.mark.parametrize("start", [0, 1, BLOCK, 3 * BLOCK])
    @pytest.mark.parametrize("length", [0, 1, 3, BLOCK + 1, None])
    def test_gives_just_the_part(self, storage: FolderStorage, source: Path, start: int, length: int | None) -> None:
        storage.put(KEY, source)
        end = None if length is None else start + length
        assert b"".join(storage.read(KEY, start, length)) == source.read_bytes()[start:end]

    def test_gives_blocks_and_never_the_whole_file(self, storage: FolderStorage, source: Path) -> None:
        storage.put(KEY, source)
        assert max(len(block) for block in storage.read(KEY)) == BLOCK

    def test_tells_at_once_that_a_file_is_missing(self, storage: FolderStorage) -> None:
        with pytest.raises(FileNotFoundError):
            storage.read(KEY)
        with pytest.raises(FileNotFoundError):
            storage.local(KEY)

    def test_goes_on_while_the_file_is_deleted(self, storage: FolderStorage, source: Path) -> None:
        storage.put(KEY, source)
        blocks = storage.read(KEY)
        storage.delete(KEY)
        assert b"".join(blocks) == source.read_bytes()


class TestDelete:
    def test_takes_emptied_folders_along(self, storage: FolderStorage, source: Path) -> None:
        storage.put(KEY, source)
        storage.put("renders/other/1/video.mp4", source)
        storage.delete(KEY)
        assert not (storage.root / "renders/Xz7pQ4w8nR2k").exists()
        assert storage.local("renders/other/1/video.mp4")

    def test_of_nothing_is_no_error(self, storage: FolderStorage) -> None:
        storage.delete(KEY)


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "renders/../../secret"])
def test_no_key_leads_out_of_the_folder(storage: FolderStorage, source: Path, key: str) -> None:
    with pytest.raises(ValueError, match="leaves the storage folder"):
        storage.put(key, source)
    with pytest.raises(ValueError, match="leaves the storage folder"):
        storage.read(key)


def test_a_folder_that_a_delete_takes_away_under_a_put_is_made_again(
    storage: FolderStorage, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied: list[Path] = []

    def just_after_a_delete(*, dir: Path, **rest: Any) -> Any:
        if not emptied:
            emptied.append(dir)
            dir.rmdir()
        return NamedTemporaryFile(dir=dir, **rest)

    monkeypatch.setattr("farm.storage.NamedTemporaryFile", just_after_a_delete)
    storage.put(KEY, source)
    assert b"".join(storage.read(KEY)) == source.read_bytes()
