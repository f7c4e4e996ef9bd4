"""Eviction from a cache folder: least recently used first, down to the budget."""

import os
import time
from pathlib import Path

import pytest

from farm.storage.disk_cache import evict, mark_used


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache of four entries of 10 bytes; `a` was used last, `d` least recently. `b` and `d` are folders."""
    for age, name in enumerate("abcd"):
        entry = tmp_path / name
        file = entry
        if name in "bd":
            entry.mkdir()
            file = entry / "content"
        file.write_bytes(bytes(10))
        os.utime(entry, (time.time() - 100 - age,) * 2)
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestEvict:
    @pytest.mark.parametrize(
        ("budget", "left"), [(40, "abcd"), (39, "abc"), (30, "abc"), (29, "ab"), (15, "a"), (10, "a"), (9, "")]
    )
    def test_removes_the_least_recently_used_over_budget(self, folder: Path, budget: int, left: str) -> None:
        evict(folder, budget)
        assert names(folder) == list(left)

    def test_keeps_entries_that_were_used_recently(self, folder: Path) -> None:
        evict(folder, 0, min_age_seconds=101.5)
        assert names(folder) == ["a", "b"]

    def test_keeps_an_entry_that_was_marked_as_used(self, folder: Path) -> None:
        assert mark_used(folder / "d")
        evict(folder, 20)
        assert names(folder) == ["a", "d"]

    def test_counts_and_removes_files_left_by_killed_writers(self, folder: Path) -> None:
        (folder / "d" / ".temporary").write_bytes(bytes(5))
        os.utime(folder / "d", (time.time() - 1000,) * 2)
        evict(folder, 44)
        assert names(folder) == ["a", "b", "c"]

    def test_accepts_a_folder_that_does_not_exist(self, tmp_path: Path) -> None:
        evict(tmp_path / "nowhere", 0)


class TestMarkUsed:
    @pytest.mark.parametrize("missing", ["nowhere", "a/below-a-file"])
    def test_reports_a_missing_entry(self, folder: Path, missing: str) -> None:
        assert not mark_used(folder / missing)
