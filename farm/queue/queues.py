"""The queues by name, and the doorbell that wakes workers. What is to be done, and by whom, stands in the database."""

import contextlib
from collections.abc import Iterator

import structlog
from redis import Redis, RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy.orm import Session

from farm.db import chunks
from farm.db.chunks import DRAWING, URGENT

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
                lane.enqueue_call("farm.queue.jobs.work", timeout=WITHOUT_LIMIT, result_ttl=0, failure_ttl=60)

    def ring_for_all(self, db: Session) -> None:
        """See to it that there are as many rings as chunks that wait, up to MOST_RINGS.

        There shall not be more either: each starts a work-horse, which takes a tenth of a second to find nothing.
        """
        lanes = {priority: queue(name, self.redis) for priority, name in NAMES.items()}
        with _outage_is_bearable():
            # Before what waits is counted: the ring of what is ordered after that is not among these.
            rings = {priority: lane.get_job_ids() for priority, lane in lanes.items()}
            for priority, lane in lanes.items():
                waiting = chunks.waiting(db, priority, at_most=MOST_RINGS)
                for ring in rings[priority][waiting:]:
                    if lane.remove(ring):  # else a worker has just heard it
                        self.redis.delete(Job.key_for(ring))
                self.ring(priority, waiting - len(rings[priority]))


@contextlib.contextmanager
def _outage_is_bearable() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        log.warning("the doorbell is out of order", error=str(error))
