"""Checks of a whole farm after a fault: credits, renders, stored files, scratch folders and processes."""

import contextlib
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta

import av
import psutil
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from farm.blender.client import INPUT_FOLDER
from farm.blender.host_process import OWN_FOLDER
from farm.db.session import Database
from farm.db.tables import Account, Asset, Chunk, Cleanup, LedgerEntry, Model, Overlay, Render, Segment, now
from farm.orders.price import price_of
from farm.scheduling.render_status import OVER
from farm.storage import Storage, open_storage
from tests.support.farms import Farm
from tests.support.polling import until
from tests.support.processes import command_line

# What an idle Blender host has in its worker's scratch folder, and in its own folder there.
IDLE_HOST_FILES = {"lock", "blender.log", OWN_FOLDER, INPUT_FOLDER}
OWN_FILES = {"sock", "home", "tmp", "shadow.npy", "drawing.tga"}


def assert_consistent(farm: Farm, *, workers: int, deleted: Collection[str] = ()) -> None:
    """Wait until all work is over, and assert that nothing was lost, done twice or left over.

    `workers` is the number of workers that the farm runs, `deleted` the ids of renders that clients deleted.
    """
    storage = open_storage(farm.settings)
    with contextlib.closing(Database(farm.settings.database)) as database:
        until(lambda: _under_way(database), lambda left: not left)
        with database.read() as db:
            assert_all_renders_over(db)
            assert_books_balance(db, deleted=deleted)
            _assert_videos_whole(db, storage)
        run_planned_cleanups(database)
        with database.read() as db:
            assert set(storage.keys("")) == _named(db)
    until(lambda: processes(farm), lambda running: running == _expected(workers))
    until(lambda: _left_in_scratch(farm), lambda left: not left)


def assert_no_processes(farm: Farm) -> None:
    """Assert that a stopped farm has no process and no scratch folder."""
    assert not processes(farm)
    assert not list(farm.scratch.iterdir())


def assert_all_renders_over(db: Session) -> None:
    """Assert that every accepted render ended exactly once, and that no intermediate row is left."""
    renders = list(db.scalars(select(Render)))
    for render in renders:
        assert render.status in OVER, f"{render.id} is {render.status}"
        assert (render.error_message is None) == (render.status == "done"), render.error_message
    done = {render.id for render in renders if render.status == "done"}
    finished = Counter(db.scalars(select(Chunk.render_id).where(Chunk.kind == "finish", Chunk.state == "done")))
    assert set(finished) >= done, "done without having been finished"
    assert set(finished.values()) <= {1}, "finished twice"
    assert set(db.scalars(select(Chunk.state))) <= {"done", "failed"}
    assert db.scalar(select(func.count()).select_from(Segment)) == 0
    videos = Counter(db.scalars(select(Asset.render_id).where(Asset.kind == "video")))
    assert set(videos) == done
    assert set(videos.values()) <= {1}


def assert_books_balance(db: Session, *, deleted: Collection[str] = ()) -> None:
    """Assert that no credit is lost and none is charged twice.

    `deleted` are the ids of renders that clients deleted, refunded or not.
    """
    balances = {account.id: account.credits for account in db.scalars(select(Account))}
    entries = list(db.scalars(select(LedgerEntry)))
    sums: Counter[str | None] = Counter()
    for entry in entries:
        sums[entry.account_id] += entry.credits
    assert sums == balances
    charged = {entry.render_id: -entry.credits for entry in entries if entry.kind == "charge"}
    refunded = {entry.render_id: entry.credits for entry in entries if entry.kind == "refund"}
    assert len(charged) + len(refunded) == len([entry for entry in entries if entry.kind in ("charge", "refund")])
    paid = {render.id: render for render in db.scalars(select(Render).where(~Render.is_system_preview))}
    assert set(charged) - set(deleted) == set(paid)
    for render_id, render in paid.items():
        assert charged[render_id] == price_of(render.settings)
        assert refunded.get(render_id, 0) == (0 if render.status == "done" else charged[render_id]), render.status
    assert all(charged[render_id] == back for render_id, back in refunded.items())


def _assert_videos_whole(db: Session, storage: Storage) -> None:
    for render in db.scalars(select(Render).where(Render.status == "done")):
        [key] = [asset.storage_key for asset in render.assets if asset.kind == "video"]
        with av.open(str(storage.local(key)), mode="r") as video:
            timestamps = [packet.pts for packet in video.demux(video=0) if packet.pts is not None]
        assert len(set(timestamps)) == len(timestamps) == render.shot.frames


def _under_way(database: Database) -> list[str]:
    with database.read() as db:
        return list(db.scalars(select(Render.id).where(Render.status.not_in(OVER))))


def run_planned_cleanups(database: Database) -> None:
    """Make all planned cleanups due, and wait until the reaper has done them."""
    with database.write() as db:
        db.execute(update(Cleanup).values(due_at=now() - timedelta(seconds=1)))

    def planned() -> int:
        with database.read() as db:
            return db.scalar(select(func.count()).select_from(Cleanup)) or 0

    until(planned, lambda cleanups: cleanups == 0)


def _named(db: Session) -> set[str]:
    """The storage key of every file that a client may request."""
    files = set(db.scalars(select(Asset.storage_key))) | set(db.scalars(select(Overlay.storage_key)))
    return files | {model.storage_key for model in db.scalars(select(Model).where(Model.has_file))}


def _expected(workers: int) -> Counter[str]:
    return Counter({"up": 1, "redis": 1, "serve": 1, "worker": workers, "blender": workers})


def processes(farm: Farm) -> Counter[str]:
    """The number of processes of each kind that this farm started, also those whose parent has ended."""
    scratch = str(farm.scratch).removeprefix(f"/proc/{farm.process.pid}/root")  # its path in the farm's mount namespace
    own = Counter[str]()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "redis" in process.name():  # it writes its title over its environment
                own.update(["redis"] if process.ppid() == farm.process.pid else [])
            elif _is_of(_environment(process, farm), scratch):
                own[_kind(process)] += 1
    return own


def _environment(process: psutil.Process, farm: Farm) -> Mapping[str, str]:
    """The environment of a process. The API closes its own to all but root, and has that of its parent."""
    try:
        return dict(process.environ())
    except psutil.AccessDenied:
        return dict(psutil.Process(farm.process.pid).environ()) if process.ppid() == farm.process.pid else {}


def _is_of(environment: Mapping[str, str], scratch: str) -> bool:
    """Whether a process is of the farm with this scratch folder. In a sandbox only its home tells."""
    return environment.get("FARM_SCRATCH") == scratch or environment.get("HOME", "").startswith(f"{scratch}/")


def _kind(process: psutil.Process) -> str:
    arguments = command_line(process)
    for kind, word in (("blender", "farm.blender.host"), ("serve", "serve"), ("worker", "worker"), ("up", "up")):
        if word in arguments:
            return kind
    return " ".join(arguments)


def _left_in_scratch(farm: Farm) -> list[str]:
    workers = {str(worker.pid) for worker in farm.workers()}
    left = []
    for folder in farm.scratch.iterdir():
        if folder.name.split("-")[1] not in workers:
            left.append(str(folder))
        left += [str(path) for path in folder.iterdir() if path.name not in IDLE_HOST_FILES]
        left += [str(path) for path in (folder / OWN_FOLDER).glob("*") if path.name not in OWN_FILES]
    return left
