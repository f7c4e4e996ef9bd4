"""Storage in a folder, beyond `test_storage.py`."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest

from farm.storage.folder import FolderStorage

KEY = "renders/Xz7pQ4w8nR2k/1/video.mp4"


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "files")


def everything(storage: FolderStorage) -> list[Path]:
    return sorted(storage.root.rglob("*"))


def test_leaves_only_the_old_file_after_a_failed_put(
    storage: FolderStorage, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put(KEY, source)
    before, files = source.read_bytes(), everything(storage)

    def fail(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("farm.storage.folder.os.fsync", fail)
    source.write_bytes(b"new")
    with pytest.raises(OSError, match="No space"):
        storage.put(KEY, source)
    assert b"".join(storage.read(KEY)) == before
    assert everything(storage) == files


def test_deletes_emptied_folders(storage: FolderStorage, source: Path) -> None:
    storage.put(KEY, source)
    storage.put("renders/other/1/video.mp4", source)
    storage.delete(KEY)
    assert not (storage.root / "renders/Xz7pQ4w8nR2k").exists()
    assert storage.local("renders/other/1/video.mp4")


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "renders/../../secret"])
def test_refuses_a_key_outside_the_folder(storage: FolderStorage, source: Path, key: str) -> None:
    with pytest.raises(ValueError, match="leaves the storage folder"):
        storage.put(key, source)
    with pytest.raises(ValueError, match="leaves the storage folder"):
        storage.read(key)


def test_lists_files_left_by_a_killed_put(storage: FolderStorage) -> None:
    left = storage.root / "renders/Xz7pQ4w8nR2k/1/video.mp4.put-x"
    left.parent.mkdir(parents=True)
    left.touch()
    assert list(storage.keys("renders/Xz7pQ4w8nR2k/")) == ["renders/Xz7pQ4w8nR2k/1/video.mp4.put-x"]


def test_lists_only_what_can_have_the_prefix(
    storage: FolderStorage, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("models/a.glb", "models/a.glb.put-x", "models/b.glb", "models/b/c.glb", "models/a.glb-d/e"):
        storage.put(key, source)
    entered: list[str] = []
    scandir = os.scandir

    def watch(path: str) -> Any:
        entered.append(Path(path).name)
        return scandir(path)

    with monkeypatch.context() as watched:
        watched.setattr(os, "scandir", watch)
        found = sorted(storage.keys("models/a.glb"))
    assert found == ["models/a.glb", "models/a.glb-d/e", "models/a.glb.put-x"]
    assert entered == ["models", "a.glb-d"]


def test_recreates_a_folder_deleted_during_a_put(
    storage: FolderStorage, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied: list[Path] = []

    def just_after_a_delete(*, dir: Path, **rest: Any) -> Any:
        if not emptied:
            emptied.append(dir)
            dir.rmdir()
        return NamedTemporaryFile(dir=dir, **rest)

    monkeypatch.setattr("farm.storage.folder.NamedTemporaryFile", just_after_a_delete)
    storage.put(KEY, source)
    assert b"".join(storage.read(KEY)) == source.read_bytes()


def test_reports_a_folder_that_cannot_be_listed(storage: FolderStorage, source: Path) -> None:
    """Its files are not gone: a cleanup that found none would be over."""
    storage.put("renders/file", source)
    with pytest.raises(NotADirectoryError):
        list(storage.keys("renders/file/"))
    assert list(storage.keys("renders/none/")) == []
