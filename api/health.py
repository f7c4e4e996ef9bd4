"""/v1/health: whether the API can reach its database and Redis. It responds within seconds, also when they hang."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Request
from pydantic import Field

from api.envelope import ApiModel, Data
from api.errors import errors
from farm.db.accounts import accounts_exist
from farm.db.session import Database
from farm.errors import Unavailable, WrongVersion, reason_of
from farm.scheduling.doorbell import connect
from farm.settings import Settings

log = structlog.get_logger()
router = APIRouter(tags=["Health"])

PATH = "/v1/health"
CHECK_SECONDS = 2.0  # a part that does not respond within this time counts as down


class Health(ApiModel):
    """All parts of the farm that the API needs are up."""

    status: Annotated[Literal["ok"], Field(description="The API as a whole")] = "ok"
    database: Annotated[Literal["ok"], Field(description="The database of accounts, models and renders")] = "ok"
    redis: Annotated[Literal["ok"], Field(description="The Redis server that wakes the workers")] = "ok"


@router.get("/health", responses=errors(Unavailable, public=True))
async def get_health(request: Request) -> Data[Health]:
    """Query the database and Redis, for at most 2 seconds. 503 names the parts that are down."""
    checks: Checks = request.app.state.health
    if down := await checks.failed():
        raise Unavailable(f"Down: {', '.join(down)}")
    return Data(data=Health())


class Checks:
    """The checks of all parts, on connections of their own: requests that wait for the pool's do not delay them."""

    def __init__(self, settings: Settings) -> None:
        self._database, self._redis = Database(settings.database), connect(settings.redis_url)
        self._checks = [Check("database", self._query_database), Check("redis", self._redis.ping)]

    async def failed(self) -> list[str]:
        """The names of the parts that are down, each with what to do where that is known."""
        return [found for found in await asyncio.gather(*(check.failure() for check in self._checks)) if found]

    def close(self) -> None:
        self._redis.close()
        self._database.close()

    def _query_database(self) -> None:
        self._database.check_version()
        with self._database.read() as db:
            accounts_exist(db)


class Check:
    """The check of one part. It runs at most once at a time, however many requests wait for its result.

    Its thread is a daemon, because a call to a part that hangs may take long, and must not keep the process alive.
    """

    def __init__(self, part: str, call: Callable[[], object]) -> None:
        self.part, self._call = part, call
        self._running: Future[Exception | None] | None = None

    async def failure(self) -> str | None:
        """None if the part responds, without an error, within CHECK_SECONDS."""
        if self._running is None or self._running.done():
            self._running = Future()
            threading.Thread(target=self._run, args=(self._running,), name=f"health-{self.part}", daemon=True).start()
        done, _ = await asyncio.wait([asyncio.wrap_future(self._running)], timeout=CHECK_SECONDS)
        error = done.pop().result() if done else TimeoutError(f"no response within {CHECK_SECONDS:g} seconds")
        if error is None:
            return None
        log.warning("health_check_failed", part=self.part, error=reason_of(error))
        return f"{self.part} ({error.message})" if isinstance(error, WrongVersion) else self.part

    def _run(self, result: Future[Exception | None]) -> None:
        try:
            self._call()
        except Exception as error:  # whatever it is: the part is not usable
            result.set_result(error)
        else:
            result.set_result(None)
