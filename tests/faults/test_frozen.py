"""A worker that is frozen past its lease, and then continues."""

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
    """An attempt at a chunk. `processes` are the worker, which comes first, its work-horse, Blender and ffmpeg."""

    chunk_id: str
    number: int
    processes: list[psutil.Process]

    @property
    def name(self) -> str:
        """The name of the folder of its stored files."""
        return f"{self.chunk_id}-{self.number}"


def test_fences_off_a_worker_frozen_mid_chunk(fragile: Farm) -> None:
    """Another worker finishes the render; the late one changes nothing of it."""
    render = order_render(fragile)
    with frozen_mid_chunk(fragile) as attempt:
        fragile.wait_until_done(render)
        chunk, before = chunk_of(fragile, attempt), fragile.files_of(render)
        assert (chunk.state, chunk.attempt) == ("done", attempt.number + 1)
        assert attempt.name in under_way(fragile), "the late attempt ended early"
    until(lambda: under_way(fragile), lambda names: attempt.name not in names)
    assert fragile.files_of(render) == before
    after = chunk_of(fragile, attempt)
    assert (after.state, after.attempt, after.worker) == ("done", chunk.attempt, chunk.worker)
    assert attempt.processes[0].is_running(), "the late worker ended"


def test_removes_the_files_that_a_late_worker_stored(fragile: Farm) -> None:
    """The last point at which a late worker could do harm: its files are stored, its transaction is about to begin."""
    render = order_render(fragile)
    fragile.wait(render, "video-processing")  # by then the posters are stored
    with database_locked_mid_chunk(fragile):
        before = stored(fragile, render)
        name = until(lambda: stored(fragile, render) - before).pop()
        [late] = [attempt for attempt in attempts(fragile) if attempt.name == name]
        stop(late)  # where it waits for the database
    fragile.wait_until_done(render)
    assert name in stored(fragile, render)
    wake(late)
    until(lambda: stored(fragile, render), lambda names: name not in names)


@contextlib.contextmanager
def frozen_mid_chunk(farm: Farm) -> Iterator[Attempt]:
    """An attempt in the middle of its chunk; all its processes are stopped while the block runs."""
    attempt = until(lambda: freeze(farm))
    try:
        yield attempt
    finally:
        wake(attempt)


def freeze(farm: Farm) -> Attempt | None:
    """Stop all processes of an attempt in the middle of its chunk.

    None if it had just ended, or if it was stopped in a transaction, which would block other writers.
    """
    paused = pause_worker(farm)
    if paused is None:
        return None
    for attempt in attempts(farm):
        if attempt.processes[0] == paused.worker:
            stop(attempt)
            chunk = chunk_of(farm, attempt)
            if (chunk.state, chunk.attempt) == ("running", attempt.number) and database_is_writable(farm):
                return attempt
            wake(attempt)
    paused.horse.resume()
    return None


def stop(attempt: Attempt) -> None:
    for process in attempt.processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # an ffmpeg that has just ended
            process.suspend()
    states = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    until(lambda: {one.status() for one in attempt.processes if one.is_running()}, lambda found: found <= states)


def wake(attempt: Attempt) -> None:
    for process in attempt.processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def attempts(farm: Farm) -> list[Attempt]:
    """The attempts under way, by their log files."""
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
    """Lock the database against writers in the middle of a chunk, until the end of the block."""
    with contextlib.closing(sqlite3.connect(farm.data / "plinth.db", isolation_level=None, timeout=30)) as connection:
        with worker_paused(farm):
            connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def stored(farm: Farm, render: str) -> set[str]:
    """The names of the attempts at the render's chunks that have stored all their files."""
    keys = open_storage(farm.settings).keys(cleanups.folder(render))
    return {PurePath(key).parent.name for key in keys if PurePath(key).name == "thumb.mp4"}
