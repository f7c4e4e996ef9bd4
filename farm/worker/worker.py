"""A worker: RQ's forking worker that owns a warm Blender host. This process never imports bpy."""

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from redis import Redis
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import select
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from farm import logs
from farm.blender.client import BlenderHost
from farm.db.session import Database, after_commit
from farm.db.tables import Chunk, Shot
from farm.errors import FarmError, WorkerLost
from farm.nodes import facts, names, quarantine, registry
from farm.nodes.facts import Facts
from farm.processes import exit_codes
from farm.processes.child_process import adopt_orphans, bury_orphans, die_with_parent
from farm.processes.scratch import clear, own_scratch
from farm.processes.supervision import on_stop_signal
from farm.rendering import engine
from farm.scheduling import leases
from farm.scheduling.doorbell import NAMES, Doorbell, connect, queue
from farm.settings import Settings
from farm.storage import open_storage
from farm.worker import chunk_log, context, jobs  # noqa: F401 - the jobs, so that no work-horse has to load them

log = structlog.get_logger()

BEAT = 5  # seconds between two signs of life
LEAST_PAUSE = BEAT / 2  # between two of them, however often RQ comes by


class ChunkWorker(Worker):
    """Forks a work-horse per ring and sees to it that each finds a Blender host that is alive and idle.

    RQ calls `heartbeat` whether it waits, watches a work-horse or looks for a lost Redis; the node tells the database
    that it lives at the same moments, from this very thread, so that no other can hold a lock while it forks.
    """

    max_connection_wait_time = BEAT

    def __init__(self, settings: Settings, redis: Redis, host: BlenderHost, mine: Facts) -> None:
        self._lanes = {priority: queue(name, redis) for priority, name in NAMES.items()}
        super().__init__(
            list(self._lanes.values()),
            name=f"{mine.name}/{os.getpid()}",  # RQ remembers the dead for a while, and refuses their names
            connection=redis,
            serializer=JSONSerializer,
            log_job_description=False,
            job_monitoring_interval=BEAT,
        )
        self.settings, self.host, self.facts = settings, host, mine
        self._database = Database(settings.database)  # one for all beats, as making one takes longer than a beat
        self.duty = registry.Duty(tuple(NAMES), drain=False)
        self.told_to_stop = False
        self.upgraded = False
        self._next_beat, self._own_pid = 0.0, os.getpid()
        gc.freeze()  # what work-horses inherit is no garbage: to look through it takes each a fifth of a second

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a ring that this node shall answer, however long that takes."""
        while True:
            self.heartbeat()
            # RQ stops by an exception out of the signal; one that came in a heartbeat has ended nothing but that.
            if self.told_to_stop or self.upgraded or self.duty.drain:
                self.told_to_stop = True
                raise StopRequested
            if self.duty.priorities:
                self.queues = self._ordered_queues = [self._lanes[priority] for priority in self.duty.priorities]
                if ring := super().dequeue_job_and_maintain_ttl(timeout, max_idle_time or BEAT):
                    return ring
            else:  # quarantined
                time.sleep(BEAT)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        if not self.is_horse and time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + LEAST_PAUSE
            self._beat()
        super().heartbeat(timeout, pipeline)

    def _beat(self) -> None:
        try:
            with self._database.autocommit() as db:
                self.duty = registry.beat(db, self.facts)
            upgraded = self.duty.upgraded
        except Exception as error:
            log.warning("the database does not hear that this node lives", error=str(error))
            upgraded = isinstance(error, ProgrammingError)  # the tables are others than this code knows
        if upgraded:
            self.upgraded = True
            context.current().tell_to_stop()

    def execute_job(self, job: Job, queue: Queue) -> None:
        self.host.ensure_ready()
        super().execute_job(job, queue)
        # A host that is not idle now still draws for a horse that is gone: only a fresh one can be trusted.
        self.host.ensure_ready()
        bury_orphans([self.host.pid])
        clear(context.current().scratch)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        self._database.close()  # the connection of the beats, which two processes would speak into
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        die_with_parent(self._own_pid)
        super().main_work_horse(job, queue)

    def handle_warm_shutdown_request(self) -> None:
        self.told_to_stop = True
        context.current().tell_to_stop()
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]

    def handle_work_horse_killed(self, job: Job, retpid: Any, ret_val: Any, rusage: Any) -> None:
        """The horse could not speak for itself any more, so its attempt is given back here."""
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)  # type: ignore[no-untyped-call]

        def lose(db: Session, chunk: Chunk) -> Chunk | None:
            model_id = db.scalar(select(Shot.model_id).where(Shot.id == chunk.shot_id))
            again = _lose(self.settings, db, chunk)
            if model_id:  # else the render was deleted meanwhile
                quarantine.failed(db, self.facts.name, model_id, WorkerLost())
            return again

        _give_back(self.settings, self.facts.name, lose)
        with _opened(self.settings) as database:
            chunk_log.rescue(context.current(), database, f"The work-horse was killed: wait status {ret_val}")


def run(settings: Settings, *, name: str | None = None, gpu: int | None = None, tags: Sequence[str] = ()) -> None:
    """Work until SIGTERM: the first lets the chunk at hand finish, a second (a second later) gives it back.

    Ends at once where the node is drained. Raises NodeRefused when it cannot join the farm, or stay in it, and
    FarmError.
    """
    with (
        on_stop_signal(lambda: sys.exit(exit_codes.TOLD_TO)),  # until RQ takes over: what is begun is put away
        names.held(name, gpu, settings.database) as own_name,
        own_scratch(settings.scratch) as scratch,
    ):
        logs.bind(node=own_name)
        adopt_orphans()  # a killed work-horse leaves its ffmpeg behind
        mine = _gather(settings, own_name, tags, scratch)
        host = BlenderHost(scratch, settings.blender_bytes)
        try:
            if not _join(settings, mine):
                log.info("this node is drained; `farm nodes resume` lets it work again")
                return
            context.enter(context.Node(own_name, settings, mine.engine, host.socket_path, scratch))
            host.start()
            log.info("worker ready", engine=mine.engine, gpu=mine.gpu, tags=mine.tags)
            with connect(settings.redis_url, timeout=None) as redis:
                worker = ChunkWorker(settings, redis, host, mine)
                worker.work(logging_level="WARNING")
        finally:  # a stop signal may come as soon as the farm knows this node
            host.stop()
            _leave(settings, mine)
        if worker.upgraded:
            with _opened(settings) as database:
                registry.check_version(database)
        if worker.upgraded or not worker.told_to_stop:
            raise FarmError("The worker ended by itself; its last lines tell why")
        log.info("worker ended", drained=worker.duty.drain)


def _gather(settings: Settings, name: str, tags: Sequence[str], scratch: Path) -> Facts:
    """What this worker is, and that code, tables and files belong together. Raises NodeRefused."""
    with _opened(settings) as database:
        registry.check_version(database)
        registry.check_storage(database, open_storage(settings))
        open_storage.cache_clear()  # no connection to it may cross a fork
        device = engine.probe(scratch)
        return facts.gather(name, list(tags), engine.select_engine(settings, device), device, database, settings)


def _join(settings: Settings, mine: Facts) -> bool:
    """Register; False where the node is drained. Raises NodeRefused."""
    with _opened(settings) as database:
        if not registry.join(database, mine):
            return False
    # Whoever had the name before us is dead, and what it held need not wait for the lease to run out.
    _give_back(settings, mine.name, partial(_lose, settings))
    return True


def _leave(settings: Settings, mine: Facts) -> None:
    """Give back at once what is unfinished, instead of letting the lease run out, and say goodbye."""
    try:
        with _opened(settings) as database:
            with database.write() as db:
                joined = registry.has_joined(db, mine)
            if joined:  # first: whoever waits for the name takes what its node holds for lost
                _give_back(settings, mine.name, lambda db, chunk: leases.release(db, chunk.id, chunk.attempt))
            with database.write() as db:
                registry.leave(db, mine)
    except Exception as error:
        log.warning("this node could not say goodbye: its lease runs out instead", error=str(error))


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    """The database for a moment."""
    with contextlib.closing(Database(settings.database)) as database:
        yield database


def _lose(settings: Settings, db: Session, chunk: Chunk) -> Chunk | None:
    return leases.fail(db, chunk.id, chunk.attempt, WorkerLost(), attempts=settings.attempts)


def _give_back(settings: Settings, name: str, take: Callable[[Session, Chunk], Chunk | None]) -> None:
    """Have what a worker holds taken from it, as it cannot go on, and ring for what is tried again."""
    with _opened(settings) as database, connect(settings.redis_url) as redis:
        doorbell = Doorbell(redis)
        with database.read() as db:
            held = leases.held(db, name)
        for chunk in held:
            with database.write() as db:
                if again := take(db, chunk):
                    after_commit(db, partial(doorbell.ring, again.priority))
