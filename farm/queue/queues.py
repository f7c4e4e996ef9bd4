"""The queues by name, and the doorbell that puts a chunk into one."""

import structlog
from redis import Redis, RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from farm.db.tables import Chunk, now

log = structlog.get_logger()

# A worker empties the first before it looks into the next.
PREVIEWS, RENDERS = "previews", "renders"
NAMES = (PREVIEWS, RENDERS)
WITHOUT_LIMIT = -1


PATIENCE = 5.0  # seconds until a Redis that hangs counts as one that is not there


def connect(url: str, *, timeout: float | None = PATIENCE) -> Redis:
    """A connection; `timeout` in seconds bounds every answer. A worker, which waits for work, wants None."""
    return Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=PATIENCE)


def queue(name: str, redis: Redis) -> Queue:
    return Queue(name, connection=redis, serializer=JSONSerializer)


class Doorbell:
    """Wakes a worker for a chunk. A lost ring costs time, not work: the reaper rings again from the database."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    def ring(self, chunk: Chunk) -> None:
        """Put the chunk's current attempt into its queue, once: a ring that still waits is not repeated."""
        try:
            self._enqueue(chunk)
        except DuplicateJobError:
            pass
        except RedisError as error:
            log.warning("the doorbell is out of order", chunk=chunk.id, error=str(error))

    def ring_again(self, chunk: Chunk, *, after_seconds: float) -> None:
        """Ring for a chunk that still waits, also when somebody answered the first ring and died before the claim."""
        try:
            job = Job.fetch(_job_id(chunk), connection=self.redis, serializer=JSONSerializer)
            age = (now() - job.enqueued_at).total_seconds() if job.enqueued_at else after_seconds
            if age >= after_seconds and job.get_position() is None:
                job.delete()
        except NoSuchJobError:
            pass
        except RedisError as error:
            log.warning("the doorbell is out of order", chunk=chunk.id, error=str(error))
            return
        self.ring(chunk)

    def _enqueue(self, chunk: Chunk) -> None:
        # No time limit here: the job itself gives up on a frame that takes too long, and a horse that hangs otherwise
        # loses its lease.
        queue(PREVIEWS if chunk.is_preview else RENDERS, self.redis).enqueue_call(
            "farm.queue.jobs.render_chunk",
            args=(chunk.id, chunk.attempt),
            job_id=_job_id(chunk),
            timeout=WITHOUT_LIMIT,
            result_ttl=0,
            failure_ttl=60,
            unique=True,
        )


def _job_id(chunk: Chunk) -> str:
    return f"{chunk.id}-{chunk.attempt}"
