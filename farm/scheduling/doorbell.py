"""The queues by name, and the doorbell that wakes workers. What is to be done, and by whom, stands in the database."""

import contextlib
from collections.abc import Iterator

import structlog
from redis import Redis, RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from farm.db import chunks
from farm.db.chunks import DRAWING, URGENT
from farm.db.session import Database

log = structlog.get_logger()

# By the priority of the chunks that they ring for; a worker empties the first before it looks into the next.
NAMES = {URGENT: "urgent", DRAWING: "drawing"}
WITHOUT_LIMIT = -1
MOST_RINGS = 256  # in a queue; more than there are workers wakes nobody else, and Redis stays small

PATIENCE = 5.0  # seconds until a Redis that hangs counts as one that is not there


def connect(url: str, *, timeout: float | None = PATIENCE) -> Redis:
    """A connection; `timeout` in seconds bounds every answer. A worker, which waits for work, wants None."""
    return Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=PATIENCE)


def queue(name: str, redis: Redis) -> Queue:
    return Queue(name, connection=redis, serializer=JSONSerializer)


class Doorbell:
    """Wakes workers. A lost ring costs time, not work: the reaper rings again from the database."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    def ring(self, priority: int, times: int = 1) -> None:
        """So many workers more shall look for a chunk of this priority, up to MOST_RINGS in all."""
        lane = queue(NAMES[priority], self.redis)
        with _outage_is_bearable():
            for _ in range(min(times, MOST_RINGS - lane.count)):
                # No time limit here: the job itself gives up on a frame that takes too long, and a horse that hangs
                # otherwise loses its lease.
                lane.enqueue_call("farm.worker.jobs.work", timeout=WITHOUT_LIMIT, result_ttl=0, failure_ttl=60)

    def ring_for_all(self, database: Database) -> None:
        """See to it that there are as many rings as chunks that wait, up to MOST_RINGS.

        There shall not be more either: each starts a work-horse, which takes a tenth of a second to find nothing.
        """
        for priority, name in NAMES.items():
            lane = queue(name, self.redis)
            with _outage_is_bearable():
                self._take_back(lane, database, priority)
                self.ring(priority, _waiting(database, priority) - lane.count)

    def _take_back(self, lane: Queue, database: Database, priority: int) -> None:
        """Take back the oldest rings, where there are more than chunks that wait.

        However many do so at once, and whatever is ordered meanwhile: later rings than the surplus seen here stay.
        """
        rings = lane.get_job_ids()  # before what waits is counted: what is ordered after that is not rung for by these
        for ring in rings[: max(0, len(rings) - _waiting(database, priority))]:
            if lane.remove(ring):  # else a worker has just heard it
                self.redis.delete(Job.key_for(ring))


def _waiting(database: Database, priority: int) -> int:
    with database.read() as db:  # SQLite would count again what it has seen before in the same transaction
        return chunks.waiting(db, priority, at_most=MOST_RINGS)


@contextlib.contextmanager
def _outage_is_bearable() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        log.warning("the doorbell is out of order", error=str(error))
