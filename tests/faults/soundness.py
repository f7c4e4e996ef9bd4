"""What must be true of a farm whatever was done to it: of its books, its files, its scratch and its processes."""

import contextlib
from collections import Counter
from collections.abc import Collection
from datetime import timedelta

import av
import psutil
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from farm.db.session import Database
from farm.db.tables import Account, Asset, Chunk, Cleanup, LedgerEntry, Model, Overlay, Render, Segment, now
from farm.orders.price import price_of
from farm.scheduling.render_status import OVER
from farm.storage import Storage, open_storage
from tests.e2e.conftest import Farm, command, until

WARM = {
    "blender.sock",
    "blender.log",
    "shadow.npy",
    "drawing.tga",
}  # what a Blender that waits for work keeps in its scratch folder


def assert_sound(farm: Farm, *, workers: int, deleted: Collection[str] = ()) -> None:
    """Once everything has come to its end: nothing is lost, nothing is twice, nothing is left over."""
    storage = open_storage(farm.settings)
    with contextlib.closing(Database(farm.settings.database)) as database:
        until(lambda: _under_way(database), lambda left: not left)
        with database.read() as db:
            assert_all_renders_over(db)
            assert_books_balance(db, deleted=deleted)
            _assert_videos_whole(db, storage)
        let_the_reaper_sweep(database)
        with database.read() as db:
            assert set(storage.keys("")) == _named(db)
    until(lambda: processes(farm), lambda seen: seen == _those_of(workers))
    until(lambda: _left_in_scratch(farm), lambda left: not left)


def assert_nothing_runs(farm: Farm) -> None:
    """After the farm's end: no process, and no scratch folder."""
    assert not processes(farm)
    assert not list(farm.scratch.iterdir())


def assert_all_renders_over(db: Session) -> None:
    """Every accepted render ended, once, and nothing that was in between is left."""
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
    """No credit is lost and none is taken twice. `deleted` are renders that clients deleted, paid back or not."""
    balances = {account.id: account.credits for account in db.scalars(select(Account))}
    entries = list(db.scalars(select(LedgerEntry)))
    sums: Counter[str] = Counter()
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
            moments = [packet.pts for packet in video.demux(video=0) if packet.pts is not None]
        assert len(set(moments)) == len(moments) == render.shot.frames


def _under_way(database: Database) -> list[str]:
    with database.read() as db:
        return list(db.scalars(select(Render.id).where(Render.status.not_in(OVER))))


def let_the_reaper_sweep(database: Database) -> None:
    """Have all that is planned for later done now."""
    with database.write() as db:
        db.execute(update(Cleanup).values(due_at=now() - timedelta(seconds=1)))

    def planned() -> int:
        with database.read() as db:
            return db.scalar(select(func.count()).select_from(Cleanup)) or 0

    until(planned, lambda sweeps: sweeps == 0)


def _named(db: Session) -> set[str]:
    """The storage key of every file that somebody may ask for."""
    files = set(db.scalars(select(Asset.storage_key))) | set(db.scalars(select(Overlay.storage_key)))
    return files | {model.storage_key for model in db.scalars(select(Model).where(Model.has_file))}


def _those_of(workers: int) -> Counter[str]:
    return Counter({"up": 1, "redis": 1, "serve": 1, "worker": workers, "blender": workers})


def processes(farm: Farm) -> Counter[str]:
    """Every process that was started by this farm, whoever its parent is now, by what it does."""
    scratch = str(farm.scratch).removeprefix(f"/proc/{farm.process.pid}/root")  # as the farm itself calls it
    own = Counter[str]()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "redis" in process.name():  # it writes its title over its environment
                own.update(["redis"] if process.ppid() == farm.process.pid else [])
            elif process.environ().get("FARM_SCRATCH") == scratch:
                own[_kind(process)] += 1
    return own


def _kind(process: psutil.Process) -> str:
    words = command(process)
    for kind, word in (("blender", "farm.blender.host"), ("serve", "serve"), ("worker", "worker"), ("up", "up")):
        if word in words:
            return kind
    return " ".join(words)


def _left_in_scratch(farm: Farm) -> list[str]:
    workers = {str(worker.pid) for worker in farm.workers()}
    left = []
    for folder in farm.scratch.iterdir():
        if folder.name.split("-")[1] not in workers:
            left.append(str(folder))
        left += [str(path) for path in folder.iterdir() if path.name not in WARM]
    return left
