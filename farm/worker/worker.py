"""A worker: RQ's forking worker that owns a warm Blender host. This process never imports bpy."""

import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from redis import Redis
from rq import Queue
from rq.exceptions import DequeueTimeout, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from farm import logs
from farm.blender.host_process import BlenderHost
from farm.db import chunks
from farm.db.session import Database
from farm.db.tables import Chunk
from farm.errors import FarmError, NodeRefused, SandboxTooWeak, WorkerLost, reason_of
from farm.nodes import facts, names, quarantine, registry
from farm.nodes.facts import Facts
from farm.processes import exit_codes, sandbox
from farm.processes.child_process import adopt_orphans, reap_orphans
from farm.processes.scratch import clear, own_scratch
from farm.processes.supervision import exit_on_stop_signal
from farm.rendering import engine
from farm.scene.shot import BACK_ENDS
from farm.scheduling import leases
from farm.scheduling.doorbell import QUEUE_NAMES, Doorbell, WakeUp, check_queue, connect, queue
from farm.settings import Settings
from farm.storage import open_storage
from farm.worker import (
    chunk_log,
    context,
    jobs,  # noqa: F401 - loaded before the first fork, so that no work-horse has to
)
from farm.worker.resilient_worker import HEARTBEAT_SECONDS, ResilientWorker

log = structlog.get_logger()

MIN_HEARTBEAT_SECONDS = HEARTBEAT_SECONDS / 2  # between two heartbeats, however often RQ calls


class ChunkWorker(ResilientWorker):
    """Forks a work-horse per wake-up, and provides each with a Blender host that is alive and idle."""

    def __init__(self, settings: Settings, redis: Redis, host: BlenderHost, own_facts: Facts) -> None:
        self._queues = {priority: queue(priority, redis) for priority in QUEUE_NAMES}
        self._check_queue = check_queue(own_facts.name, redis)
        super().__init__(
            list(self._queues.values()),
            name=f"{own_facts.name}/{os.getpid()}",  # RQ remembers dead workers for a while, and refuses their names
            connection=redis,
            serializer=JSONSerializer,
            job_class=WakeUp,
            log_job_description=False,
            job_monitoring_interval=HEARTBEAT_SECONDS,
        )
        self.settings, self.host, self.facts = settings, host, own_facts
        self.database = Database(settings.database)  # of the heartbeats
        self.assignment = registry.Assignment(tuple(QUEUE_NAMES), drain=False)
        self.is_stopping = False
        self.is_outdated = False
        self.refusal: NodeRefused | None = None
        self._next_heartbeat = 0.0
        gc.freeze()  # collecting inherited objects would cost every work-horse 0.2 s

    def dequeue_job_and_maintain_ttl(
        self,
        timeout: int | None,  # noqa: ARG002 - RQ's
        max_idle_time: int | None = None,  # noqa: ARG002
    ) -> tuple[Job, Queue] | None:
        """Wait, without a time limit, for a wake-up that this node may act on."""
        while True:
            self.heartbeat()
            # RQ's signal handler stops the worker by an exception, which a heartbeat catches.
            if self.is_stopping or self.is_outdated or self.refusal or self.assignment.drain:
                self.is_stopping = True
                raise StopRequested
            if self.is_redis_lost:
                self.look_for_redis()
                continue
            with self.redis_optional():
                if wake_up := self._dequeue():
                    return wake_up

    def _dequeue(self) -> tuple[Job, Queue] | None:
        """Wait for a wake-up until the next heartbeat is due. Raises RedisError."""
        self.set_state(WorkerStatus.IDLE)  # a stop signal ends the wait
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        if self.assignment.check or self.assignment.is_bound_work_waiting:
            Doorbell(self.connection).wake_for_check(self.facts.name)
            self.queues = [self._check_queue]
            # Once a heartbeat: it may be that this node cannot take the work.
            self.assignment = replace(self.assignment, is_bound_work_waiting=False)
        else:
            self.queues = [self._queues[priority] for priority in self.assignment.priorities]
        if not self.queues:  # quarantined
            time.sleep(HEARTBEAT_SECONDS)
            return None
        try:
            return self.queue_class.dequeue_any(
                self.queues,
                HEARTBEAT_SECONDS,
                self.connection,
                job_class=self.job_class,
                serializer=self.serializer,
                death_penalty_class=self.death_penalty_class,
            )
        except DequeueTimeout:
            return None

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """RQ's heartbeat, and the node's in the database.

        RQ calls this while it waits or watches a work-horse, whether Redis responds or not. It runs in the main thread,
        so that no lock of the database's driver is held while RQ forks.
        """
        if not self.is_horse and time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + MIN_HEARTBEAT_SECONDS
            self._node_heartbeat()
        super().heartbeat(timeout, pipeline)

    def _node_heartbeat(self) -> None:
        try:
            with self.database.write() as db:
                self.assignment = registry.heartbeat(db, self.facts)
            outdated = self.assignment.outdated
        except NodeRefused as error:
            self.refusal = error
            context.current().request_stop()
            return
        except Exception as error:
            log.warning("heartbeat_failed", error=reason_of(error))
            outdated = isinstance(error, ProgrammingError)  # the tables are not those of this version
        if outdated:
            self.is_outdated = True
            context.current().request_stop()

    def execute_job(self, job: Job, queue: Queue) -> None:
        self._node_heartbeat()  # the work-horse before may have made a check due
        if self.assignment.check:
            self.host.kill()  # the models under suspicion ran in it, and may have changed what it draws
        self._provide_host()
        self.database.close()  # two processes must not share the connection of the heartbeats
        super().execute_job(job, queue)
        if self.horse_status:
            self._record_killed(self.horse_status)
        # A host that is not idle still draws for a work-horse that has ended: it is replaced.
        self._provide_host()
        reap_orphans([self.host.pid])
        clear(context.current().scratch)

    def _provide_host(self) -> None:
        before = self.host.pid
        if context.current().is_host_stale():
            self.host.kill()
            log.info("blender_replaced_for_tenant")
        self.host.ensure_ready()
        if self.host.pid != before:
            context.current().forget_tenant()

    def handle_warm_shutdown_request(self) -> None:
        self.is_stopping = True
        context.current().request_stop()
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]

    def _record_killed(self, status: int) -> None:
        """Record the failed attempt of a work-horse, as one that was killed cannot."""
        name = self.facts.name
        with _opened(self.settings) as database:
            with database.write() as db:
                if quarantine.is_being_checked(db, name):  # before its chunks: they may make a check due
                    quarantine.end_check(db, name, f"the process that drew it was killed: wait status {status}")
            _for_held_chunks(database, self.settings, name, partial(_fail, self.settings, name))
            chunk_log.rescue(context.current(), database, f"The work-horse was killed: wait status {status}")


def run(settings: Settings, *, name: str | None = None, gpu: int | None = None, tags: Sequence[str] = ()) -> None:
    """Work until SIGTERM: the first lets the current chunk finish, a second (at least 1 s later) releases it.

    Ends at once if the node is drained. Raises NodeRefused when it cannot join the farm, or stay in it, and FarmError.
    """
    try:
        confined_by = sandbox.of_blender(settings)
    except SandboxTooWeak as error:
        raise NodeRefused(error.message) from error
    with (
        exit_on_stop_signal(exit_codes.STOPPED) as is_stopped,  # until RQ installs its handlers
        names.reserved(name, gpu, settings.database) as own_name,
        own_scratch(settings.scratch) as scratch,
    ):
        logs.bind(node=own_name)
        adopt_orphans()  # a killed work-horse leaves its ffmpeg behind
        own_facts = _gather(settings, own_name, tags, scratch)
        settings.make_data_folder()  # of the caches, once it is known that there is a farm
        host = BlenderHost(scratch, confined_by, settings.blender_bytes, shares_shaders=not settings.isolate_tenants)
        failed = False
        try:
            if not _join(settings, own_facts):
                log.info("node_is_drained")
                return
            context.enter(context.WorkerContext(own_name, settings, own_facts.engine, host.socket_path, scratch))
            host.start()
            log.info(
                "worker_ready",
                engine=own_facts.engine,
                gpu=own_facts.gpu,
                tags=own_facts.tags,
                sandbox=f"{confined_by.tier} ({confined_by.description})",
            )
            with connect(settings.redis_url, timeout=ChunkWorker.connection_timeout) as redis:
                worker = ChunkWorker(settings, redis, host, own_facts)
                if is_stopped():
                    sys.exit(exit_codes.STOPPED)
                worker.work(logging_level="WARNING")
                failed = not worker.is_stopping
        except Exception:
            failed = True
            raise
        finally:  # also for a stop signal that arrives before the worker is ready
            host.stop()
            _leave(settings, own_facts, failed=failed)
        if worker.refusal:
            raise worker.refusal
        if worker.is_outdated:
            with _opened(settings) as database:
                registry.check_version(database)
        if worker.is_outdated or not worker.is_stopping:
            raise FarmError("The worker ended unexpectedly; its last log lines give the reason")
        log.info("worker_ended", drained=worker.assignment.drain)


def _gather(settings: Settings, name: str, tags: Sequence[str], scratch: Path) -> Facts:
    """This worker's facts. Raises NodeRefused when the tables, the storage or the GPU are not those that it needs."""
    with _opened(settings) as database:
        registry.check_version(database)
        registry.check_storage(database, open_storage(settings))
        open_storage.cache_clear()  # no connection to the storage may cross a fork
        devices = engine.probe(scratch, sandbox.of_blender(settings))
        if settings.engine in BACK_ENDS and settings.engine not in devices.engines:
            raise NodeRefused(
                f"FARM_ENGINE is {settings.engine}, and Cycles finds no GPU for it here: see `farm doctor`"
            )
        choice = engine.choose(settings, scratch, devices)
        return facts.gather(name, list(tags), choice, devices, database, settings)


def _join(settings: Settings, own_facts: Facts) -> bool:
    """Register; False if the node is drained. Raises NodeRefused."""
    with _opened(settings) as database:
        if not registry.join(database, own_facts):
            return False
        # The process that had the name before is dead: its chunks need not wait for their leases to expire.
        _for_held_chunks(database, settings, own_facts.name, partial(_fail, settings, None))
    return True


def _leave(settings: Settings, own_facts: Facts, *, failed: bool) -> None:
    """Release unfinished chunks at once, instead of letting their leases expire, and leave the farm.

    The node of a worker that `failed` stays in the list as gone.
    """
    try:
        with _opened(settings) as database:
            with database.read() as db:
                joined = registry.has_joined(db, own_facts)
            if joined:  # before leaving: the next node of this name fails chunks that its predecessor holds
                _for_held_chunks(database, settings, own_facts.name, _release)
            with database.write() as db:
                registry.leave(db, own_facts, failed=failed)
    except Exception as error:
        log.warning("node_could_not_leave", error=reason_of(error))


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    with contextlib.closing(Database(settings.database)) as database:
        yield database


def _for_held_chunks(
    database: Database, settings: Settings, name: str, act: Callable[[Session, Doorbell, Chunk], object]
) -> None:
    """Call `act` for every chunk that the node holds, each in a transaction of its own.

    Several in one transaction would lock several shots and accounts, and could deadlock with a client's.
    """
    with connect(settings.redis_url) as redis:
        doorbell = Doorbell(redis)
        with database.read() as db:
            held = chunks.held_by(db, name)
        for chunk in held:
            with database.write() as db:
                act(db, doorbell, chunk)


def _fail(settings: Settings, node: str | None, db: Session, doorbell: Doorbell, chunk: Chunk) -> None:
    """Record the attempt as failed, and count it against `node`, if given."""
    model = chunks.model(db, chunk.shot_id)
    was_working = node is not None
    leases.fail(
        db,
        doorbell,
        chunk.id,
        chunk.attempt,
        WorkerLost(),
        max_attempts=settings.attempts,
        retry_seconds=settings.retry_seconds,
        was_working=was_working,
    )
    if node and model:  # None if the render was deleted meanwhile
        quarantine.record_failure(db, node, model, WorkerLost())


def _release(db: Session, doorbell: Doorbell, chunk: Chunk) -> None:
    leases.release(db, doorbell, chunk.id, chunk.attempt)
