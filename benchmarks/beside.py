"""What nodes do besides dispatching, done by a few processes beside a run that have nothing to do with it.

So it is known what each of it takes there and then: the machine's speed changes within the hour, and with what else
runs on it.
"""

import contextlib
import itertools
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

from benchmarks.ordering import stored_model
from benchmarks.servers import apart, backends, spent
from benchmarks.stub_nodes import CountedLease, Counts, answer, be_a_node, fork, in_a_process, kill
from farm.blender.client import Blender
from farm.db.session import Database
from farm.orders import plan
from farm.orders.render_settings import RenderSettings
from farm.processes.child_process import die_with_parent
from farm.rendering import production
from farm.scheduling import leases, submit
from farm.scheduling.doorbell import Doorbell, connect
from farm.settings import Settings
from farm.storage import Storage, discard, open_storage
from farm.video import graphs
from farm.video.run import Encoder, executable
from farm.video.variant import Files, Variant

LENGTH = 10  # seconds of video, and as many chunks


@dataclass
class Beside:
    """Processes that do one thing again and again, and how often they have done it."""

    settings: Settings
    processes: list[int]
    times: Any
    began: tuple[float, int] = (0.0, 0)

    def begin(self) -> None:
        """Count from now on, once all of it has been done for the first time."""
        while self.times.value < 2 * len(self.processes):
            time.sleep(0.5)
        self.began = self.seconds(), self.times.value

    def seconds(self) -> float:
        """Of processor time, with what their servers took for them."""
        own = [psutil.Process(pid) for pid in self.processes]
        return spent([*own, *(child for each in own for child in each.children()), *backends(self.settings)])

    def price(self) -> float:
        """Seconds of one core that it takes once."""
        seconds, times = self.began
        return float((self.seconds() - seconds) / (self.times.value - times))


@contextlib.contextmanager
def all_of_it(settings: Settings, count: int, frame_seconds: float) -> Iterator[tuple[Beside, Beside, Beside]]:
    """So many processes that draw by hand, that give signs of life, and that renew a lease."""
    drawn, lives, held = (apart(settings, name, at) for at, name in enumerate(("drawn", "lives", "held"), start=1))
    in_a_process(partial(upgrade, lives))
    in_a_process(partial(upgrade, held))
    in_a_process(partial(order_one, held))
    chunks, counts = multiprocessing.Value("L", 0), Counts()
    beside = (
        begin(drawn, count, partial(draw, drawn, frame_seconds, chunks), chunks),
        begin(lives, count, partial(be_a_node, lives, frame_seconds, counts), counts.signs),
        begin(held, count, partial(hold, held, counts), counts.renewals),
    )
    try:
        yield beside
    finally:
        for each in beside:
            kill(each.processes)


def upgrade(settings: Settings) -> None:
    with contextlib.closing(Database(settings.database)) as database:
        database.upgrade()


def order_one(settings: Settings) -> None:
    """Chunks to hold. Nobody hears the rings."""
    with contextlib.closing(Database(settings.database)) as database:
        model, doorbell = stored_model(database, settings), Doorbell(connect(settings.redis_url))
        with database.write() as db:
            submit.render(db, model, RenderSettings(length=LENGTH, easing=False), settings, doorbell)


def begin(settings: Settings, count: int, act: Callable[[str], object], times: Any) -> Beside:
    """Processes that do this until they are killed."""
    ours = os.getpid()

    def out_of_reach(name: str) -> None:
        os.setsid()  # Ctrl-C is not for it
        die_with_parent(ours)
        act(name)

    return Beside(settings, [fork(partial(out_of_reach, f"beside-{number}")) for number in range(count)], times)


def hold(settings: Settings, counts: Counts, name: str) -> None:
    """Have a chunk, and do nothing about it."""
    CountedLease.counts = counts
    with contextlib.closing(Database(settings.database, fleeting=True)) as database:
        chunk = None
        while chunk is None:  # others may have its shot at this moment
            with database.write() as db:
                chunk = leases.claim_next(db, leases.Claimant(name, "cycles"), seconds=settings.lease_seconds)
        with CountedLease(database, chunk, settings.lease_seconds, lambda _: None).kept(on_loss=lambda: None):
            time.sleep(1_000_000)


def draw(settings: Settings, frame_seconds: float, chunks: Any, name: str) -> None:
    """Draw, encode and store chunks with no queue, lease or database around."""
    folder = settings.scratch / name
    folder.mkdir()
    (folder / "model").write_bytes(b"glTF")
    threading.Thread(target=answer, args=(folder, frame_seconds), daemon=True).start()
    while not (folder / "blender.sock").exists():
        time.sleep(0.01)
    request, storage = RenderSettings(length=LENGTH, easing=False), open_storage(settings)
    spec = plan.shot("0" * 64, request, settings)
    for number in itertools.count():
        files = Files(folder / str(number), spec.tier)
        files.folder.mkdir()
        variant = Variant(spec, request, None, files, executable(settings.ffmpeg))
        first = number % LENGTH
        with Blender(folder / "blender.sock", settings.frame_timeout) as blender:
            shot = production.shot_setup(spec, folder / "model", "cycles")
            for _ in production.produce(
                production.draw_frames(blender, shot, spec, range(first, first + 1)), [variant]
            ):
                pass
        for path in [*files.videos.values(), *(files.posters.values() if first == 0 else ())]:
            storage.put(f"{name}/{number}/{path.name}", path)
        if last := first == LENGTH - 1:
            join(settings, storage, files, [f"{name}/{number - at}" for at in reversed(range(LENGTH))])
        shutil.rmtree(files.folder)
        with chunks.get_lock():
            chunks.value += 1 + last


def join(settings: Settings, storage: Storage, files: Files, folders: list[str]) -> None:
    """Join what was drawn, as the chunk does that finishes a render."""
    for path in files.videos.values():
        parts = [f"{folder}/{path.name}" for folder in folders]
        made = path.with_name(f"whole-{path.name}")
        arguments = graphs.join([storage.local(part) for part in parts], path.with_suffix(".txt"), made)
        with Encoder(executable(settings.ffmpeg), arguments):
            pass
        storage.put(f"{folders[-1]}/{made.name}", made)
        discard(storage, parts)
