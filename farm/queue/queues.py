"""The queues by name, and the doorbell that puts a chunk into one."""

import structlog
from redis import Redis, RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

from farm.db.tables import Chunk

log = structlog.get_logger()

# A worker empties the first before it looks into the next.
PREVIEWS, RENDERS = "previews", "renders"
NAMES = (PREVIEWS, RENDERS)
WITHOUT_LIMIT = -1


def connect(url: str) -> Redis:
    return Redis.from_url(url)


def queue(name: str, redis: Redis) -> Queue:
    return Queue(name, connection=redis, serializer=JSONSerializer())


class Doorbell:
    """Wakes a worker for a chunk. A lost ring costs time, not work: the reaper rings again from the database."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    def ring(self, chunk: Chunk) -> None:
        """Put the chunk's current attempt into its queue, once: a ring that still waits is not repeated."""
        name = PREVIEWS if chunk.is_preview else RENDERS
        try:
            # No time limit here: the job itself gives up on a frame that takes too long, and a horse that hangs
            # otherwise loses its lease.
            queue(name, self.redis).enqueue_call(
                "farm.queue.jobs.render_chunk",
                args=(chunk.id, chunk.attempt),
                job_id=f"{chunk.id}-{chunk.attempt}",
                timeout=WITHOUT_LIMIT,
                result_ttl=0,
                failure_ttl=60,
                unique=True,
            )
        except DuplicateJobError:
            pass
        except RedisError as error:
            log.warning("the doorbell is out of order", chunk=chunk.id, error=str(error))
