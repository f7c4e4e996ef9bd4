"""Many nodes, many renders: what dispatching a chunk costs, how large the database and Redis get, who waits for whom.

Workers, work-horses, RQ, Redis, the database, leases, segments and storage are the real ones. Faked are only Blender (a
host that answers with tiny frames, at once or after `--frame-seconds`) and ffmpeg (which writes a few bytes). It takes
long on one machine: Ctrl-C ends it early, and prints what was seen until then.

More nodes than cores, all without rest, measure how processes wait for each other. Let each frame take so long that a
quarter of the cores stays free: then it is seen what the farm does for a chunk. What is not dispatching is done by hand
beside the run, in databases of its own, and taken off at what it takes there.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from redis import Redis
from sqlalchemy import func, select, text

from benchmarks import beside
from benchmarks.servers import busy_seconds, servers
from benchmarks.stub_nodes import Counts, end, in_a_process, start
from farm.accounts import accounts
from farm.db.chunks import UNFINISHED
from farm.db.session import Database
from farm.db.tables import Chunk, Model
from farm.orders.render_settings import RenderSettings
from farm.scheduling import submit
from farm.scheduling.doorbell import Doorbell, connect
from farm.settings import Settings
from farm.storage import open_storage
from farm.worker import jobs

LENGTH = 10  # ten chunks of one frame a render, where chunks are as short as can be
SMALL_ACCOUNTS = 20
CONTROL = 40  # nodes for each process that does by hand what they do besides dispatching


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


def run(settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    in_a_process(partial(beside.upgrade, settings))
    began = time.monotonic()
    in_a_process(lambda: order_all(settings, arguments.renders))  # nodes are forked, and large ones would be slow
    ordering = time.monotonic() - began
    redis, database = connect(settings.redis_url), Database(settings.database)
    with database.read() as db:
        queued = db.scalar(select(func.count()).select_from(Chunk))
    database.close()  # no connection may cross a fork
    redis.flushdb()  # the rings, so that all nodes are there before the first chunk is drawn
    # A node has but a part of a core here; it shall do as much in one work-horse as one that has a whole core.
    jobs.MOMENT *= max(1, arguments.nodes / (os.cpu_count() or 1))
    counts = Counts()
    with beside.all_of_it(settings, max(1, arguments.nodes // CONTROL), arguments.frame_seconds) as controls:
        nodes = start(settings, arguments.nodes, arguments.frame_seconds, counts)
        while counts.signs.value < 2 * arguments.nodes:
            time.sleep(0.5)
        for control in controls:
            control.begin()
        signs_before, began = counts.signs.value, time.monotonic()
        before = busy_seconds() - sum(control.seconds() for control in controls)
        Doorbell(redis).ring_for_all(database)
        most = watch(database, redis)
        took = time.monotonic() - began
        busy = busy_seconds() - sum(control.seconds() for control in controls) - before
        with database.read() as db:
            done = db.scalar(select(func.count()).select_from(Chunk).where(Chunk.state == "done")) or 0
        drawing, sign, renewal = (control.price() for control in controls)
        signs, renewals = counts.signs.value - signs_before, counts.renewals.value
        end(nodes)
    with database.read() as db:
        doubly = db.scalar(select(func.count()).select_from(Chunk).where(Chunk.attempt > 1))
        waited = [place for place, account in enumerate(in_order(db)) if account != "large@example.com"]
    size = database_bytes(database)
    database.close()
    others = drawing + (sign * signs + renewal * renewals) / done
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
        "of these, ms for drawing, encoding and storing": round(1000 * drawing, 1),
        "of these, ms for signs of life": round(1000 * sign * signs / done, 1),
        "of these, ms for renewing leases": round(1000 * renewal * renewals / done, 1),
        "what is left is dispatching, ms": round(1000 * (busy / done - others), 1),
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


def order_all(settings: Settings, renders: int) -> None:
    """One account orders nearly everything in batches; twenty others come last, with one render each."""
    doorbell, database = Doorbell(connect(settings.redis_url)), Database(settings.database)
    request = [RenderSettings(length=LENGTH, easing=False, rotate_y=number) for number in range(100)]
    large = new_model(database, settings, "large@example.com")
    for _ in range(renders // 100):
        with database.write() as db:
            submit.renders(db, large.account_id, [(large, each) for each in request], settings, doorbell)
    for number in range(SMALL_ACCOUNTS):
        small = new_model(database, settings, f"small{number}@example.com")
        with database.write() as db:
            submit.render(db, small, request[0], settings, doorbell)


def new_model(database: Database, settings: Settings, email: str) -> Model:
    with database.write() as db:
        account = accounts.create(db, email, credits_=10**9)
        model = Model(account_id=account.id, original_name="a.glb", format="glb", file_size=1, sha256="0" * 64)
        db.add(model)
    source = settings.scratch / "model"
    source.write_bytes(b"glTF")
    open_storage(settings).put(model.storage_key, source)
    return model


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
