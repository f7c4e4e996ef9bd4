"""The queues by name, and the doorbell that wakes workers. What is to be done, and by whom, stands in the database."""

from collections.abc import Sequence

import structlog
from redis import Redis, RedisError
from rq import Queue
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
        """So many workers more shall look for a chunk of this priority."""
        self._ring(NAMES[priority], times)

    def ring_for_all(self, db: Session, priorities: Sequence[int] = tuple(NAMES)) -> None:
        """See to it that there are as many rings as chunks that wait, up to MOST_RINGS."""
        for priority in priorities:
            self._ring(NAMES[priority], chunks.waiting(db, priority, at_most=MOST_RINGS), in_all=True)

    def _ring(self, name: str, times: int, *, in_all: bool = False) -> None:
        bell = queue(name, self.redis)
        try:
            rings = bell.count
            for _ in range(min(times - rings if in_all else times, MOST_RINGS - rings)):
                # No time limit here: the job itself gives up on a frame that takes too long, and a horse that hangs
                # otherwise loses its lease.
                bell.enqueue_call("farm.queue.jobs.work", timeout=WITHOUT_LIMIT, result_ttl=0, failure_ttl=60)
        except RedisError as error:
            log.warning("the doorbell is out of order", queue=name, error=str(error))
