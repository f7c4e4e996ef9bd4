"""Nodes that are real but for their Blender, which has each frame ready or sleeps a while for it."""

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
from sqlalchemy.orm import Session

from farm.blender.client import BlenderHost
from farm.db.session import Database
from farm.nodes import facts, registry
from farm.scene.shot import Frame, Layer
from farm.scheduling.doorbell import connect
from farm.settings import Settings
from farm.worker import context, jobs
from farm.worker.lease import Lease
from farm.worker.worker import ChunkWorker


class Counts:
    """What nodes did only because time went by: signs of life that they gave, leases that they renewed."""

    def __init__(self) -> None:
        self.signs, self.renewals = multiprocessing.Value("L", 0), multiprocessing.Value("L", 0)


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


def start(settings: Settings, count: int, frame_seconds: float, counts: Counts) -> list[int]:
    return [fork(partial(be_a_node, settings, frame_seconds, counts, f"node-{number}")) for number in range(count)]


def end(nodes: list[int]) -> None:
    for pid in nodes:
        os.kill(pid, signal.SIGTERM)
    for pid in nodes:
        os.waitpid(pid, 0)


def kill(processes: Iterable[int]) -> None:
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def be_a_node(settings: Settings, frame_seconds: float, counts: Counts, name: str) -> None:
    """A worker of RQ's and its host, until it is told to end."""
    CountedWorker.counts = CountedLease.counts = counts
    with (
        patch.object(jobs, "Lease", CountedLease),
        contextlib.closing(Database(settings.database)) as database,
        tempfile.TemporaryDirectory(dir=settings.scratch) as scratch,
    ):
        folder = Path(scratch)
        threading.Thread(target=answer, args=(folder, frame_seconds), daemon=True).start()
        mine = facts.gather(name, [], "cycles", None, database, settings)
        registry.join(database, mine)
        database.close()  # no connection may cross a fork
        context.enter(context.Node(name, settings, "cycles", folder / "blender.sock", folder))
        redis = connect(settings.redis_url, timeout=None)
        CountedWorker(settings, redis, AlwaysReady(folder), mine).work(logging_level="ERROR")
        with database.write() as db:
            registry.leave(db, mine)


class AlwaysReady(BlenderHost):
    """The host that `answer` fakes."""

    def ensure_ready(self) -> None:
        pass


class CountedWorker(ChunkWorker):
    """One whose signs of life are counted."""

    counts: Counts

    def _beat(self) -> None:
        super()._beat()
        with self.counts.signs.get_lock():
            self.counts.signs.value += 1


class CountedLease(Lease):
    """One whose renewals in the background are counted."""

    counts: Counts

    def renew(self, db: Session) -> bool:
        if threading.current_thread() is not threading.main_thread():
            with self.counts.renewals.get_lock():
                self.counts.renewals.value += 1
        return super().renew(db)


def answer(folder: Path, frame_seconds: float) -> None:
    """A Blender host that has every frame ready, or takes so long for it."""
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
                    time.sleep(frame_seconds if drawn else 0)
                    with contextlib.suppress(BrokenPipeError):
                        lines.write(json.dumps({"ok": asdict(drawn) if drawn else {}}).encode() + b"\n")
                        lines.flush()
