"""A worker that stands still past its lease, and then goes on as if nothing had happened."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Farm, until
from tests.faults.victims import Busy, caught, failures, order

pytestmark = pytest.mark.slow


def test_mid_chunk_it_is_fenced_off(fragile: Farm) -> None:
    """Another worker finishes the render; the one that wakes changes nothing of it."""
    render = order(fragile)
    with caught(fragile) as busy, frozen(busy):
        assert fragile.wait(render)["status"] == "done"
        assert failures(fragile, render) == 1
        before = contents(fragile, render)
    until(lambda: busy.horse.is_running(), lambda runs: not runs)
    assert contents(fragile, render) == before
    assert busy.worker.is_running(), "it goes on with other work"


def test_between_storing_its_files_and_saying_so_it_takes_them_out_again(fragile: Farm) -> None:
    """The last moment at which a late worker could do harm: its files are stored, its transaction is about to begin."""
    [sleeper, other] = fragile.workers()
    other.suspend()
    render = order(fragile)
    fragile.wait(render, "video-processing")  # the posters, which are stored before, are not what this is about
    with database_locked_mid_chunk(fragile):
        before = stored_parts(fragile, render)
        late = until(lambda: stored_parts(fragile, render) - before, lambda parts: len(parts) > 0)
        family = [sleeper, *sleeper.children(recursive=True)]
        for process in family:
            process.suspend()
    other.resume()
    assert fragile.wait(render)["status"] == "done"
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    until(lambda: [part for part in late if part.exists()], lambda left: not left)


@contextlib.contextmanager
def frozen(busy: Busy) -> Iterator[None]:
    """The worker and all of its processes stand still while the block runs."""
    for process in busy.all:
        process.suspend()
    yield
    for process in busy.all:
        process.resume()


@contextlib.contextmanager
def database_locked_mid_chunk(farm: Farm) -> Iterator[None]:
    """Nobody can write to the database while the block runs, which begins in the middle of a chunk."""
    with contextlib.closing(sqlite3.connect(farm.data / "plinth.db", isolation_level=None, timeout=30)) as connection:
        with caught(farm):
            connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def stored_parts(farm: Farm, render: str) -> set[Path]:
    """The folders of those attempts at the render's chunks that have stored all their files."""
    return {path.parent for path in (farm.settings.files / "renders" / render).rglob("thumb.mp4")}


def contents(farm: Farm, render: str) -> dict[str, bytes]:
    """Everything that a client gets of a render."""
    paths = ("video", "poster?quality=full", "thumb")
    return {path: farm.client.get(f"/v1/renders/{render}/{path}").content for path in paths}
