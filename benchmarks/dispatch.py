"""The farm's own cost per chunk, without drawing and encoding: statements, transactions, milliseconds.

    python -m benchmarks.dispatch [--database sqlite|postgresql] [--renders 20]

One process claims and works on all chunks as a work-horse does, with the real database, Redis, storage and leases.
Drawing and joining write files of a few bytes instead. Forking work-horses and heartbeats are not included.
"""

import argparse
import contextlib
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import event

from benchmarks import ordering
from benchmarks.servers import servers
from farm import logs
from farm.db.session import Database
from farm.db.tables import now
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.orders.render_settings import RenderSettings
from farm.scheduling import submit
from farm.scheduling.doorbell import Doorbell, connect
from farm.storage import Storage, open_storage
from farm.worker import drawing, finishing, jobs
from farm.worker.chunk_log import recorded
from farm.worker.context import WorkerContext
from farm.worker.lease import Lease

CHUNKS_PER_RENDER = 10
NODE = "bench"


def draw(context: WorkerContext, lease: Lease, storage: Storage, scratch: Path) -> None:
    """Publish posters and segments as `draw_video_chunk` does, with files of a few bytes."""
    chunk = lease.chunk
    targets = [drawing.target_of(lease, render, scratch, chunk.tier) for render in chunk.renders]
    with lease.renewed(on_loss=lambda: None):
        for target in targets:
            target.files.folder.mkdir()
            for path in (*target.files.videos.values(), *target.files.posters.values()):
                path.write_bytes(b"content")
            if chunk.first_frame == 0:
                drawing.publish_posters(lease, storage, target)
    lease.frames_done = chunk.frames
    stats = drawing.DrawingStats("box", chunk.tier, context.engine, drawn=chunk.frames, cached=0, seconds=60.0)
    drawing.publish_segments(lease, storage, targets, stats)


def join(context: WorkerContext, segments: list[Path], into: Path) -> None:  # noqa: ARG001
    into.write_bytes(b"".join(segment.read_bytes() for segment in segments))


@contextlib.contextmanager
def counted(database: Database) -> Iterator[Counter[str]]:
    """Count statements and transactions while the block runs."""
    counts: Counter[str] = Counter()

    def statement(*_: Any) -> None:
        counts["statements"] += 1

    def transaction(*_: Any) -> None:
        counts["transactions"] += 1

    event.listen(database.engine, "before_cursor_execute", statement)
    event.listen(database.engine, "begin", transaction)
    yield counts
    event.remove(database.engine, "before_cursor_execute", statement)
    event.remove(database.engine, "begin", transaction)


def cpu_seconds() -> float:
    """CPU time of this process, its Redis and its PostgreSQL."""
    own = psutil.Process()
    servers_ = [process for process in psutil.process_iter() if process.name() in ("postgres", "redis-server")]
    total = 0.0
    for process in {own, *own.children(recursive=True), *servers_}:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])  # user and system, of ended children too
    return total


def measure(kind: str, renders: int) -> dict[str, Any]:
    jobs.VIDEO_WORK["draw"], finishing.join = draw, join
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, servers(Path(folder), kind) as settings:
        settings = settings.model_copy(update={"fps": 1, "chunk_seconds": 1e-9, "scale": 0.05})
        database = Database(settings.database)
        database.upgrade()
        model = ordering.stored_model(database, settings)
        registry.join(database, facts(database))
        redis = connect(settings.redis_url)
        doorbell, storage = Doorbell(redis), open_storage(settings)
        context = WorkerContext(NODE, settings, "cycles", Path(folder) / "none", Path(folder))
        with database.write() as db:
            for number in range(renders):
                request = RenderSettings(length=CHUNKS_PER_RENDER, rotate_y=number)
                submit.render(db, model, request, settings, doorbell)
        redis.flushall()  # no worker listens
        chunks, cpu, began = 0, cpu_seconds(), time.monotonic()
        with counted(database) as counts:
            while chunk := jobs.claim(context, database):
                with recorded(context, database, chunk) as chunk_log:
                    assert jobs.work_on(context, database, storage, doorbell, chunk, chunk_log)
                chunks += 1
        seconds, cpu = time.monotonic() - began, cpu_seconds() - cpu
    return {
        "database": kind,
        "chunks": chunks,
        "statements per chunk": round(counts["statements"] / chunks, 1),
        "transactions per chunk": round(counts["transactions"] / chunks, 1),
        "milliseconds per chunk": round(1000 * seconds / chunks, 1),
        "CPU milliseconds per chunk, servers included": round(1000 * cpu / chunks, 1),
        "machine": f"{os.cpu_count()} cores",
    }


def facts(database: Database) -> Facts:
    return Facts(
        name=NODE, host="bench", machine="bench", tags=[], engine="cycles", gpu=None, has_gpu=False, memory=0,
        plinth_version="", bpy_version="", database_version=database.newest_version() or "", drawing_code="",
        sandbox="", always_draws=True, started_at=now(),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--renders", type=int, default=20)
    arguments = parser.parse_args()
    logs.configure("error")
    ordering.forget_settings()
    print(json.dumps(measure(arguments.database, arguments.renders), indent=2))


if __name__ == "__main__":
    main()
