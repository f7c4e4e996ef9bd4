"""A worker: RQ's forking worker that owns a warm Blender host. This process never imports bpy."""

import contextlib
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy.orm import Session

from farm import leases
from farm.blender.client import BlenderHost
from farm.db.session import Database, after_commit
from farm.db.tables import Chunk
from farm.nodes.engine import choose_engine
from farm.nodes.scratch import own_scratch
from farm.processes import die_with_parent
from farm.queue import jobs, node  # noqa: F401 - the jobs, so that no work-horse has to load them
from farm.queue.queues import NAMES, Doorbell, connect, queue
from farm.settings import Settings

log = structlog.get_logger()


class ChunkWorker(Worker):
    """Forks a work-horse per job and sees to it that each finds a Blender host that is alive and idle."""

    def __init__(self, settings: Settings, redis: Redis, host: BlenderHost, current: node.Node) -> None:
        queues = [queue(name, redis) for name in NAMES.values()]
        super().__init__(
            queues, name=current.name, connection=redis, serializer=JSONSerializer, log_job_description=False
        )
        self.settings, self.host, self.node = settings, host, current

    def execute_job(self, job: Job, queue: Queue) -> None:
        self.host.ensure_ready()
        super().execute_job(job, queue)
        # A host that is not idle now still draws for a horse that is gone: only a fresh one can be trusted.
        self.host.ensure_ready()

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        die_with_parent()
        super().main_work_horse(job, queue)

    def handle_work_horse_killed(self, job: Job, retpid: Any, ret_val: Any, rusage: Any) -> None:
        """The horse could not speak for itself any more, so its attempt is given back here."""
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)  # type: ignore[no-untyped-call]
        settings = self.settings
        _give_back(settings, lambda db: leases.lose(db, worker=self.name, attempts=settings.attempts))


def run(settings: Settings) -> None:
    """Work until SIGTERM: the first lets the chunk at hand finish, a second (a second later) gives it back."""
    with own_scratch(settings.scratch) as scratch, connect(settings.redis_url, timeout=None) as redis:
        engine = choose_engine(settings, scratch)
        host = BlenderHost(scratch)
        name = f"{socket.gethostname()}-{os.getpid()}"
        current = node.Node(name, settings, engine, host.socket_path, scratch)
        node.enter(current)
        host.start()
        try:
            log.info("worker ready", worker=name, engine=engine)
            ChunkWorker(settings, redis, host, current).work(logging_level="WARNING")
        finally:
            host.stop()
            # A worker that was told to stop gives its chunk back at once, instead of letting the lease run out.
            _give_back(settings, lambda db: leases.release(db, worker=name))


def _give_back(settings: Settings, take: Callable[[Session], list[Chunk]]) -> None:
    """Have chunks taken from a worker that cannot do them any more, and ring for them."""
    with contextlib.closing(Database(settings.database)) as database, connect(settings.redis_url) as redis:
        bell = Doorbell(redis)
        with database.write() as db:
            for chunk in take(db):
                after_commit(db, partial(bell.ring, chunk.priority))
