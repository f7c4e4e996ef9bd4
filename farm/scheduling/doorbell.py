"""The doorbell: wakes workers through Redis. The work itself, and which worker does it, is in the database."""

import contextlib
from collections.abc import Iterator
from typing import Any

import structlog
from redis import ConnectionError as RedisConnectionError
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from farm.db import chunks
from farm.db.chunks import DRAWING, FINISHING, PREVIEW
from farm.db.session import Database
from farm.errors import FarmError, reason_of

log = structlog.get_logger()

# Queues by the priority of the chunks that they wake for; a worker empties the first before it reads the next.
QUEUE_NAMES = {FINISHING: "finishing", PREVIEW: "previews", DRAWING: "drawing"}
CHECK_QUEUE_PREFIX = "check-"  # of each node's own queue
JOB = "farm.worker.jobs.work"  # the only function that a worker runs
NO_TIMEOUT = -1  # the job limits the time for each frame, and a job that hangs loses its lease
MAX_WAKE_UPS = 256  # per queue: wake-ups beyond the number of workers have no effect, and would only fill Redis
FAILURE_TTL_SECONDS = 60
MAX_SHOWN_CHARACTERS = 80
TIMEOUT_SECONDS = 2.0  # a Redis that does not respond within this time counts as down


def connect(url: str, *, timeout: float = TIMEOUT_SECONDS) -> Redis:
    """A connection; `timeout` is the limit for every response in seconds.

    A connection that Redis has closed, by restarting for example, is opened again at once. No other error is retried:
    callers have something else to do during an outage. Raises FarmError for what is no URL of a Redis.
    """
    retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    try:
        return Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=TIMEOUT_SECONDS, retry=retry)
    except ValueError:
        raise FarmError("FARM_REDIS_URL is no URL of a Redis, such as redis://127.0.0.1:6379/0") from None


def queue(priority: int, redis: Redis) -> Queue:
    """The queue of wake-ups for chunks of a priority."""
    return _queue(QUEUE_NAMES[priority], redis)


def check_queue(node: str, redis: Redis) -> Queue:
    """The queue of a node's own wake-ups, for its checks."""
    return _queue(f"{CHECK_QUEUE_PREFIX}{node}", redis)


def _queue(name: str, redis: Redis) -> Queue:
    return Queue(name, connection=redis, serializer=JSONSerializer, job_class=WakeUp)


class WakeUp(Job):
    """The only job there is. Any other one that is read from Redis is reported and treated as missing.

    RQ would import and call whatever a job, or a callback of it, names, and send requests to its webhooks; so any
    client of Redis could run code on every node.
    """

    def restore(self, raw_data: Any) -> Any:
        """Read the job's fields. Raises NoSuchJobError unless they are those that `Doorbell.wake` writes."""
        try:
            super().restore(raw_data)
            is_ours = self._is_ours()
        except Exception:  # its fields cannot be read
            is_ours = False
        if not is_ours:
            log.warning("job_refused", job=str(self.id)[:MAX_SHOWN_CHARACTERS])
            raise NoSuchJobError("This is no wake-up")

    def _is_ours(self) -> bool:
        call = (self.func_name, self.instance, list(self.args), dict(self.kwargs))
        callbacks = (self._success_callback_name, self._failure_callback_name, self._stopped_callback_name)
        return (
            call == (JOB, None, [], {})
            and (self.origin in QUEUE_NAMES.values() or str(self.origin).startswith(CHECK_QUEUE_PREFIX))
            and self.timeout == NO_TIMEOUT
            and not any(callbacks)
            and not self.webhooks
            and not (self.repeats_left or self.retries_left or self._dependency_ids)
        )


class Doorbell:
    """Wakes workers. The rule: adding work wakes a worker for it, after the commit (farm.scheduling.leases).

    A lost wake-up costs time, not work: the reaper wakes workers for chunks that still wait. A surplus one costs a
    work-horse that finds no chunk.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    def wake(self, priority: int, number: int) -> None:
        """Wake up to `number` workers to claim chunks of this priority."""
        wake_ups = queue(priority, self.redis)
        with _outage_logged():
            for _ in range(min(number, MAX_WAKE_UPS - wake_ups.count)):
                _enqueue(wake_ups)

    def wake_for_check(self, node: str) -> None:
        """Wake one node, unless it has been."""
        wake_ups = check_queue(node, self.redis)
        with _outage_logged():
            if wake_ups.count == 0:
                _enqueue(wake_ups)

    def wake_for_waiting(self, database: Database) -> None:
        """Wake workers for waiting chunks if their queue holds no wake-up."""
        with _outage_logged():
            for priority in QUEUE_NAMES:
                if queue(priority, self.redis).count == 0:
                    with database.read() as db:
                        waiting = chunks.count_waiting(db, priority, limit=MAX_WAKE_UPS)
                    self.wake(priority, waiting)


def _enqueue(wake_ups: Queue) -> None:
    wake_ups.enqueue_call(JOB, timeout=NO_TIMEOUT, result_ttl=0, failure_ttl=FAILURE_TTL_SECONDS)


@contextlib.contextmanager
def _outage_logged() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        log.warning("wake_up_failed", error=reason_of(error))
