"""A worker that stands still past its lease, and then goes on as if nothing had happened."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import psutil

from farm.db import cleanups
from farm.db.session import Database
from farm.db.tables import Chunk
from farm.storage import open_storage
from farm.worker.chunk_log import PREFIX
from tests.support.farms import Farm
from tests.support.interruptions import database_is_writable, order_render, pause_worker, worker_paused
from tests.support.polling import until


@dataclass(frozen=True)
class Attempt:
    """At a chunk, by somebody: the worker comes first among `processes`, then its work-horse, Blender and ffmpeg."""

    chunk_id: str
    number: int
    processes: list[psutil.Process]

    @property
    def name(self) -> str:
        """What the folder of its stored files is called."""
        return f"{self.chunk_id}-{self.number}"


def test_mid_chunk_it_is_fenced_off(fragile: Farm) -> None:
    """Another worker finishes the render; the one that wakes changes nothing of it."""
    render = order_render(fragile)
    with frozen_mid_chunk(fragile) as attempt:
        assert fragile.wait(render)["status"] == "done"
        chunk, before = chunk_of(fragile, attempt), fragile.files_of(render)
        assert (chunk.state, chunk.attempt) == ("done", attempt.number + 1)
        assert attempt.name in under_way(fragile), "it has not given up yet"
    until(lambda: under_way(fragile), lambda names: attempt.name not in names)
    assert fragile.files_of(render) == before
    after = chunk_of(fragile, attempt)
    assert (after.state, after.attempt, after.worker) == ("done", chunk.attempt, chunk.worker)
    assert attempt.processes[0].is_running(), "it goes on with other work"


def test_between_storing_its_files_and_saying_so_it_takes_them_out_again(fragile: Farm) -> None:
    """The last moment at which a late worker could do harm: its files are stored, its transaction is about to begin."""
    render = order_render(fragile)
    fragile.wait(render, "video-processing")  # the posters, which are stored before, are not what this is about
    with database_locked_mid_chunk(fragile):
        before = stored(fragile, render)
        name = until(lambda: stored(fragile, render) - before, bool).pop()
        [late] = [attempt for attempt in attempts(fragile) if attempt.name == name]
        stop(late)  # where it waits for the database
    assert fragile.wait(render)["status"] == "done"
    assert name in stored(fragile, render)
    wake(late)
    until(lambda: stored(fragile, render), lambda names: name not in names)


@contextlib.contextmanager
def frozen_mid_chunk(farm: Farm) -> Iterator[Attempt]:
    """An attempt in its middle; everybody who works on it stands still while the block runs."""
    attempt = until(lambda: freeze(farm))
    try:
        yield attempt
    finally:
        wake(attempt)


def freeze(farm: Farm) -> Attempt | None:
    """Stop somebody in the middle of an attempt.

    None where it had ended just before, or where it is stopped in a transaction, which others would have to wait for.
    """
    busy = pause_worker(farm)
    if busy is None:
        return None
    for attempt in attempts(farm):
        if attempt.processes[0] == busy.worker:
            stop(attempt)
            chunk = chunk_of(farm, attempt)
            if (chunk.state, chunk.attempt) == ("running", attempt.number) and database_is_writable(farm):
                return attempt
            wake(attempt)
    busy.horse.resume()
    return None


def stop(attempt: Attempt) -> None:
    for process in attempt.processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # an ffmpeg that was done
            process.suspend()
    states = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    until(lambda: {one.status() for one in attempt.processes if one.is_running()}, lambda seen: seen <= states)


def wake(attempt: Attempt) -> None:
    for process in attempt.processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def attempts(farm: Farm) -> list[Attempt]:
    """Those under way, by the logs that are kept of them meanwhile."""
    found = []
    for worker in farm.workers():
        for path in farm.scratch.glob(f"plinth-{worker.pid}-*/{PREFIX}*"):
            chunk_id, number = path.name.removeprefix(PREFIX).split("-")
            found.append(Attempt(chunk_id, int(number), [worker, *worker.children(recursive=True)]))
    return found


def under_way(farm: Farm) -> set[str]:
    return {attempt.name for attempt in attempts(farm)}


def chunk_of(farm: Farm, attempt: Attempt) -> Chunk:
    with contextlib.closing(Database(farm.settings.database)) as database, database.read() as db:
        return db.get_one(Chunk, attempt.chunk_id)


@contextlib.contextmanager
def database_locked_mid_chunk(farm: Farm) -> Iterator[None]:
    """Nobody can write to the database while the block runs, which begins in the middle of a chunk."""
    with contextlib.closing(sqlite3.connect(farm.data / "plinth.db", isolation_level=None, timeout=30)) as connection:
        with worker_paused(farm):
            connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def stored(farm: Farm, render: str) -> set[str]:
    """The names of those attempts at the render's chunks that have stored all their files."""
    keys = open_storage(farm.settings).keys(cleanups.folder(render))
    return {PurePath(key).parent.name for key in keys if PurePath(key).name == "thumb.mp4"}
