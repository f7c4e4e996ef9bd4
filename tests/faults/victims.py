"""Catching parts of a farm in the middle of a chunk."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import func, select

from farm.db.session import Database
from farm.db.tables import Chunk, Render
from tests.e2e.conftest import Farm, command, until


@dataclass(frozen=True)
class Busy:
    """A worker and those who draw and encode a chunk for it."""

    worker: psutil.Process
    horse: psutil.Process
    host: psutil.Process
    ffmpegs: list[psutil.Process]


def order(farm: Farm, name: str = "walker.glb", length: int = 12) -> str:
    """Order a render of one of the tests' models: several chunks, long enough to be caught in the middle of one."""
    body = {"modelId": _model(farm, name), "renderSettings": {"length": length, "shadows": False}}
    answer = farm.client.post("/v1/renders", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def _model(farm: Farm, name: str) -> str:
    """The id of a model that is there, and whose preview keeps nobody busy any more."""
    for model in farm.client.get("/v1/models").json()["data"]:
        if model["originalName"] == name:
            return str(model["id"])
    uploaded = farm.upload(name, '{"length": 3}')
    for render in (farm.preview_of(uploaded["modelId"])["id"], uploaded["renderId"]):
        farm.wait(render)
    return str(uploaded["modelId"])


def waits_for_frames(ffmpeg: psutil.Process, horse: psutil.Process) -> bool:
    """Whether the work-horse still holds the pipe into an encoder: one that has had its last frame ends by itself."""
    try:
        stdin = Path(f"/proc/{ffmpeg.pid}/fd/0").readlink()
        return any(file.readlink() == stdin for file in Path(f"/proc/{horse.pid}/fd").iterdir())
    except OSError:  # it has ended
        return False


Work = Callable[[psutil.Process, psutil.Process], bool]  # whether this is what an ffmpeg does for its work-horse


@contextlib.contextmanager
def caught(farm: Farm, work: Work = waits_for_frames) -> Iterator[Busy]:
    """Somebody who is in the middle of a chunk; the work-horse stands still while the block runs."""
    busy = until(lambda: catch(farm, work), lambda seen: seen is not None)
    try:
        yield busy
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            busy.horse.resume()


def catch(farm: Farm, work: Work = waits_for_frames) -> Busy | None:
    """Somebody who is in the middle of a chunk right now, the work-horse stopped."""
    for worker in farm.workers():
        with contextlib.suppress(psutil.NoSuchProcess, ValueError):
            [host] = [child for child in worker.children() if _is_host(child)]
            [horse] = [child for child in worker.children() if command(child) == command(worker)]  # and no dead one's
            horse.suspend()
            until(horse.status, lambda seen: seen in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))
            ffmpegs = horse.children()
            if any(work(ffmpeg, horse) for ffmpeg in ffmpegs) and others_may_write(farm):
                return Busy(worker, horse, host, ffmpegs)
            horse.resume()
    return None


def others_may_write(farm: Farm) -> bool:
    """Whether nobody was stopped in the middle of a transaction, which on SQLite would stop all others as well."""
    if not farm.settings.database.startswith("sqlite"):
        return True
    with contextlib.closing(sqlite3.connect(farm.data / "plinth.db", isolation_level=None, timeout=1)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


def _is_host(process: psutil.Process) -> bool:
    return "farm.blender.host" in command(process)


def failures(farm: Farm, render_id: str) -> int:
    """How many attempts at the render's chunks have failed."""
    with contextlib.closing(Database(farm.settings.database)) as database, database.read() as db:
        shot_id = db.get_one(Render, render_id).shot_id
        return db.scalar(select(func.sum(Chunk.failures)).where(Chunk.shot_id == shot_id)) or 0


def balance(farm: Farm) -> int:
    """The client's credits."""
    return int(farm.client.get("/v1/account").json()["data"]["credits"])
