"""Trees that are hard to remove are removed, and nothing outside of them."""

import os
from pathlib import Path

import pytest

from farm.processes.removal import remove


def nest(folder: Path, depth: int) -> None:
    """Folders in folders, with a file in each; deeper than any path may be long."""
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deeper", dir_fd=descriptor)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
        inner = os.open("deeper", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


class TestRemove:
    @pytest.mark.parametrize("depth", [0, 3, 5000])
    def test_removes_folders_of_any_depth(self, tmp_path: Path, depth: int) -> None:
        nest(tmp_path / "top", depth)
        remove(tmp_path / "top")
        assert not list(tmp_path.iterdir())

    def test_removes_folders_without_permission(self, tmp_path: Path) -> None:
        inner = tmp_path / "top" / "middle" / "inner"
        inner.mkdir(parents=True)
        (inner / "file").touch()
        for folder in (inner, inner.parent, inner.parents[1]):
            folder.chmod(0)
        remove(tmp_path / "top")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("where", ["top", "top/folder"])
    def test_removes_links_and_keeps_their_targets(self, tmp_path: Path, where: str) -> None:
        target = tmp_path / "target"
        target.mkdir(mode=0o750)
        (target / "kept").touch()
        link = tmp_path / where
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
        remove(tmp_path / "top")
        assert [path.name for path in tmp_path.iterdir()] == ["target"]
        assert (target / "kept").exists()
        assert target.stat().st_mode & 0o777 == 0o750

    def test_raises_nothing_if_there_is_none(self, tmp_path: Path) -> None:
        remove(tmp_path / "missing" / "top")
