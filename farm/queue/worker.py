"""A worker: RQ's forking worker that owns a warm Blender host. This process never imports bpy."""

import os
import socket
from functools import partial
from typing import Any

import structlog
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from farm import leases
from farm.blender.client import BlenderHost
from farm.db.session import Database, after_commit
from farm.errors import WorkerLost
from farm.nodes.engine import choose_engine
from farm.nodes.scratch import own_scratch
from farm.processes import die_with_parent
from farm.queue import node
from farm.queue.jobs import give_back
from farm.queue.queues import NAMES, Doorbell, connect, queue
from farm.settings import Settings

log = structlog.get_logger()


class ChunkWorker(Worker):
    """Forks a work-horse per job and sees to it that each finds a Blender host that is alive and idle."""

    def __init__(self, settings: Settings, redis: Redis, host: BlenderHost, current: node.Node) -> None:
        queues = [queue(name, redis) for name in NAMES]
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
        chunk_id, attempt = job.args
        database = Database(self.settings.database)
        try:
            give_back(self.node, database, chunk_id, attempt, WorkerLost())
        finally:
            database.close()


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
            _release(settings, name)


def _release(settings: Settings, name: str) -> None:
    """A worker that was told to stop gives its chunk back at once, instead of letting the lease run out."""
    database = Database(settings.database)
    try:
        with connect(settings.redis_url) as redis, database.write() as db:
            bell = Doorbell(redis)
            for chunk in leases.release(db, worker=name):
                after_commit(db, partial(bell.ring, chunk))
    finally:
        database.close()
