"""Copies of stored files: made once and evicted over the budget."""

import os
import time
from pathlib import Path

import pytest

from farm.storage.copies import MIN_AGE_SECONDS, Copies


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    return Copies(tmp_path / "copies", budget=25)


def ten_bytes(path: Path) -> None:
    path.write_bytes(b"0123456789")


def never(_: Path) -> None:
    raise AssertionError("a copy exists already")


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_are_made_once(copies: Copies) -> None:
    assert copies.get("models/a.glb", ten_bytes) == copies.get("models/a.glb", never)


def test_keep_the_suffix_that_blender_relies_on(copies: Copies) -> None:
    assert copies.get("models/a.glb", ten_bytes).suffix == ".glb"


def test_differ_between_keys(copies: Copies) -> None:
    assert copies.get("a/b.glb", ten_bytes) != copies.get("a-b.glb", ten_bytes)


def test_leave_nothing_if_they_cannot_be_made(copies: Copies) -> None:
    def fail(_: Path) -> None:
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        copies.get("models/a.glb", fail)
    assert list(copies.folder.iterdir()) == []


def test_evict_the_least_recently_used(copies: Copies) -> None:
    first, second = copies.get("1", ten_bytes), copies.get("2", ten_bytes)
    age(first, MIN_AGE_SECONDS + 20)
    age(second, MIN_AGE_SECONDS + 10)
    third = copies.get("3", ten_bytes)
    assert set(copies.folder.iterdir()) == {second, third}


def test_are_kept_over_budget_if_requested_recently(copies: Copies) -> None:
    paths = {copies.get(str(number), ten_bytes) for number in range(4)}
    age(copies.get("0", never), MIN_AGE_SECONDS + 10)
    copies.get("0", never)
    paths.add(copies.get("4", ten_bytes))
    assert set(copies.folder.iterdir()) == paths
