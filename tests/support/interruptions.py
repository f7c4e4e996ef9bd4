"""Pausing a farm's worker in the middle of a chunk, so that a test can kill or freeze its processes."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import func, select

from farm.db.session import Database
from farm.db.tables import Chunk, Render
from tests.support.farms import Farm
from tests.support.polling import until
from tests.support.processes import command_line, is_blender_host


@dataclass(frozen=True)
class PausedWorker:
    """A worker whose work-horse is stopped in the middle of a chunk, and the processes that work on the chunk."""

    worker: psutil.Process
    horse: psutil.Process
    host: psutil.Process
    ffmpegs: list[psutil.Process]


def order_render(farm: Farm, name: str = "walker.glb", length: int = 12) -> str:
    """Order a render of a sample model: several chunks, long enough to interrupt; returns its id."""
    return farm.order(_model(farm, name), length=length, shadows=False)


def _model(farm: Farm, name: str) -> str:
    """The id of an uploaded sample model whose first renders are over."""
    for model in farm.client.get("/v1/models").json()["data"]:
        if model["originalName"] == name:
            return str(model["id"])
    uploaded = farm.upload(name, '{"length": 3}')
    for render in (farm.preview_of(uploaded["modelId"])["id"], uploaded["renderId"]):
        farm.wait(render)
    return str(uploaded["modelId"])


IsTarget = Callable[[psutil.Process, psutil.Process], bool]  # of an ffmpeg and its work-horse: whether to pause here


def waits_for_frames(ffmpeg: psutil.Process, horse: psutil.Process) -> bool:
    """Whether the work-horse still holds the pipe into an encoder: one that has had its last frame ends by itself."""
    try:
        stdin = Path(f"/proc/{ffmpeg.pid}/fd/0").readlink()
        return any(file.readlink() == stdin for file in Path(f"/proc/{horse.pid}/fd").iterdir())
    except OSError:  # it has ended
        return False


@contextlib.contextmanager
def worker_paused(farm: Farm, is_target: IsTarget = waits_for_frames) -> Iterator[PausedWorker]:
    """Wait for a worker in the middle of a chunk; its work-horse is stopped while the block runs."""
    paused = until(lambda: pause_worker(farm, is_target))
    try:
        yield paused
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            paused.horse.resume()


def pause_worker(farm: Farm, is_target: IsTarget = waits_for_frames) -> PausedWorker | None:
    """Stop the work-horse of a worker that is in the middle of a chunk; None if there is none at this time."""
    for worker in farm.workers():
        with contextlib.suppress(psutil.NoSuchProcess, ValueError):
            [host] = [child for child in worker.children() if is_blender_host(child)]
            arguments = command_line(worker)
            [horse] = [child for child in worker.children() if command_line(child) == arguments]  # no zombie has any
            horse.suspend()
            until(horse.status, lambda status: status in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))
            ffmpegs = horse.children()
            if any(is_target(ffmpeg, horse) for ffmpeg in ffmpegs) and database_is_writable(farm):
                return PausedWorker(worker, horse, host, ffmpegs)
            horse.resume()
    return None


@contextlib.contextmanager
def workers_stopped(farm: Farm) -> Iterator[None]:
    """The farm's workers are stopped while the block runs, none of them while it holds SQLite's lock."""
    workers = farm.workers()

    def stopped() -> bool:
        for worker in workers:
            worker.suspend()
        if database_is_writable(farm):
            return True
        for worker in workers:
            worker.resume()
        return False

    until(stopped)
    try:
        yield
    finally:
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.resume()


def database_is_writable(farm: Farm) -> bool:
    """False if a process was stopped in the middle of a transaction, which blocks all other writers on SQLite."""
    if not farm.settings.database.startswith("sqlite"):
        return True
    with contextlib.closing(sqlite3.connect(farm.data / "plinth.db", isolation_level=None, timeout=1)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


def failed_attempts(farm: Farm, render_id: str) -> int:
    """The number of attempts at the render's chunks that failed."""
    with contextlib.closing(Database(farm.settings.database)) as database, database.read() as db:
        shot_id = db.get_one(Render, render_id).shot_id
        return db.scalar(select(func.sum(Chunk.failures)).where(Chunk.shot_id == shot_id)) or 0
