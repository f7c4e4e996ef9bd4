"""Redis: the doorbell that wakes workers. What is to be done, and by which worker, stands in the database."""

import contextlib
from collections.abc import Iterator

import structlog
from redis import Redis, RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from farm.db import chunks
from farm.db.chunks import DRAWING, URGENT
from farm.db.session import Database

log = structlog.get_logger()

# Queues by the priority of the chunks that they wake for; a worker empties the first before it reads the next.
QUEUE_NAMES = {URGENT: "urgent", DRAWING: "drawing"}
JOB = "farm.worker.jobs.work"  # the only function that a worker runs
NO_TIMEOUT = -1  # the job itself limits how long a frame may take, and one that hangs loses its lease
MAX_WAKE_UPS = 256  # in a queue: more than there are workers wake no other, and Redis stays small
FAILURE_TTL_SECONDS = 60
TIMEOUT_SECONDS = 5.0  # until a Redis that does not respond counts as down


def connect(url: str, *, timeout: float | None = TIMEOUT_SECONDS) -> Redis:
    """A connection; `timeout` in seconds limits every response. A worker, which blocks until it is woken, has None."""
    return Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=TIMEOUT_SECONDS)


def queue(priority: int, redis: Redis) -> Queue:
    """The queue of wake-ups for chunks of a priority."""
    return Queue(QUEUE_NAMES[priority], connection=redis, serializer=JSONSerializer)


class Doorbell:
    """Wakes workers. The one rule: adding work wakes a worker for it, after the commit (farm.scheduling.leases).

    A lost wake-up costs time, not work: the reaper wakes for what still waits. A surplus one costs a work-horse that
    finds nothing.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    def wake(self, priority: int, number: int) -> None:
        """Wake up to `number` workers to claim chunks of this priority."""
        wake_ups = queue(priority, self.redis)
        with _outage_logged():
            for _ in range(min(number, MAX_WAKE_UPS - wake_ups.count)):
                wake_ups.enqueue_call(JOB, timeout=NO_TIMEOUT, result_ttl=0, failure_ttl=FAILURE_TTL_SECONDS)

    def wake_for_waiting(self, database: Database) -> None:
        """Wake workers for chunks that wait although no wake-up is pending for them."""
        for priority in QUEUE_NAMES:
            with _outage_logged():
                if queue(priority, self.redis).count == 0:
                    with database.read() as db:
                        waiting = chunks.count_waiting(db, priority, limit=MAX_WAKE_UPS)
                    self.wake(priority, waiting)


@contextlib.contextmanager
def _outage_logged() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        log.warning("wake_up_failed", error=str(error))
