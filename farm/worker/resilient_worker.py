"""RQ's forking worker, made to live through outages of Redis."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import structlog
from redis import RedisError
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job

from farm.errors import reason_of
from farm.scheduling.doorbell import TIMEOUT_SECONDS

log = structlog.get_logger()

HEARTBEAT_SECONDS = 5
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 5.0  # before the next look for Redis; doubled each time


class ResilientWorker(Worker):
    """A worker that no outage of Redis ends, once it has started, however long: refused, silent or emptied.

    RQ ends its worker, and with it the work-horse, when Redis fails while a job runs. Here RQ's notes about workers and
    jobs are optional: a work-horse that is forked needs no Redis. The database tells what it did.

    RQ is pinned to a minor version, as these overrides depend on how its loop works; tests/worker/test_rq_seams.py has
    a test for each.
    """

    # For a response, in seconds: RQ would wait for minutes. A wait for a wake-up takes HEARTBEAT_SECONDS of it.
    connection_timeout = HEARTBEAT_SECONDS + TIMEOUT_SECONDS  # type: ignore[assignment]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.is_redis_lost = False
        self.horse_status: int | None = 0  # the wait status of the last work-horse: not 0 if it was killed
        self._pause_seconds = MIN_PAUSE_SECONDS

    @contextlib.contextmanager
    def redis_optional(self) -> Iterator[None]:
        """Note an outage of Redis instead of raising its error."""
        try:
            yield
        except RedisError as error:
            if not self.is_redis_lost:
                log.warning("redis_lost", error=reason_of(error))
            self.is_redis_lost = True
        else:
            self._pause_seconds = MIN_PAUSE_SECONDS

    def look_for_redis(self) -> None:
        """Pause, then ask Redis once whether the outage is over."""
        time.sleep(self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, MAX_PAUSE_SECONDS)
        with contextlib.suppress(RedisError):
            self.connection.ping()
            log.info("redis_found")
            self.is_redis_lost = False

    def subscribe(self) -> None:
        """Listen to no commands: RQ would stop and kill workers for any client that publishes to Redis."""

    def check_for_suspension(self, burst: bool) -> None:
        """Ask for no suspension, for the same reason."""

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        self._note(partial(super().heartbeat, timeout, pipeline))

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        if self.is_redis_lost:
            self.heartbeat()
        else:
            self._note(partial(super().maintain_heartbeats, job, execution))

    def set_state(self, state: str, pipeline: Any = None) -> None:
        self._state = state  # RQ's handler of a stop signal goes by it
        self._note(partial(super().set_state, state, pipeline))

    def set_shutdown_requested_date(self) -> None:
        """Called by that handler, which must not raise while a work-horse runs."""
        self._note(super().set_shutdown_requested_date)

    def run_maintenance_tasks(self) -> None:
        self._note(super().run_maintenance_tasks)

    def register_death(self) -> None:
        self._note(super().register_death)

    def _note(self, write: Callable[[], object]) -> None:
        """Let RQ write to Redis, unless there is an outage."""
        if not self.is_redis_lost:
            with self.redis_optional():
                write()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job in a work-horse, and set `horse_status` when that has ended."""
        self.horse_status = 0
        with self.redis_optional():
            super().execute_job(job, queue)
        self.executions.clear()  # an outage keeps RQ from doing so

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        pid, self.horse_status, usage = super().wait_for_horse()
        return pid, self.horse_status, usage

    def handle_exception(self, job: Job, *exc_info: Any) -> None:  # noqa: ARG002 - RQ's
        """Called in the work-horse for an error of a job. RQ would make its traceback the event of a log line."""
        log.error("work_failed", error=str(exc_info[1]), exc_info=exc_info)

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """Called in the work-horse. RQ catches the errors of the job, and raises those of its own notes about it."""
        self.connection.connection_pool.connection_kwargs["socket_timeout"] = TIMEOUT_SECONDS
        try:
            return super().perform_job(job, queue, execution)
        except Exception as error:
            log.warning("job_not_recorded", error=reason_of(error))
            return False
