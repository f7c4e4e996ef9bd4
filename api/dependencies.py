"""The farm's settings, database, storage and doorbell, as a dependency of endpoints.

An endpoint opens its transaction itself (`with farm.database.write() as db`) and ends it before it returns, in one
thread: docs/decisions/transactions-end-in-the-endpoint.md explains why the transaction is not a dependency.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request
from redis import Redis

from api.rate_limits import RateLimiter
from api.turns import Turns
from api.version_check import VersionCheck
from farm.db.session import Database
from farm.errors import TooManyAtOnce
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings
from farm.storage import Storage

MAX_CONCURRENT_CHECKS = 4
MAX_CONCURRENT_CONVERSIONS = 3
ACCOUNTS_AT_ONCE = 5  # that it takes to use up the requests of the API
MAX_CONCURRENT_PICTURES = 3


@dataclass(frozen=True)
class Farm:
    """Everything behind the API, opened when the API starts and closed when it stops."""

    settings: Settings
    database: Database
    storage: Storage
    redis: Redis
    rate_limiter: RateLimiter
    version_check: VersionCheck
    # Each of these may use a core and gigabytes of memory. A conversion takes seconds to minutes, the others less.
    checks: Turns = field(default_factory=lambda: Turns(MAX_CONCURRENT_CHECKS))
    conversions: Turns = field(default_factory=lambda: Turns(MAX_CONCURRENT_CONVERSIONS))
    pictures: Turns = field(default_factory=lambda: Turns(MAX_CONCURRENT_PICTURES))
    # Number of downloads from URLs in progress, by account id.
    ingests: Counter[str] = field(default_factory=Counter)
    # The same of all requests that may take long: writes and downloads.
    long_requests: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def counted_request(self, account_id: str) -> Iterator[None]:
        """Count a write or a download of the account while it lasts. Raises TooManyAtOnce beyond its share."""
        limit = max(self.settings.max_requests // ACCOUNTS_AT_ONCE, 1)
        if self.long_requests[account_id] >= limit:
            raise TooManyAtOnce(limit)
        self.long_requests[account_id] += 1
        try:
            yield
        finally:
            self.long_requests[account_id] -= 1
            if not self.long_requests[account_id]:
                del self.long_requests[account_id]

    @property
    def doorbell(self) -> Doorbell:
        return Doorbell(self.redis)


def farm_of(request: Request) -> Farm:
    return cast(Farm, request.app.state.farm)


async def _farm(request: Request) -> Farm:  # async, because FastAPI runs other functions in a thread
    return farm_of(request)


FarmDep = Annotated[Farm, Depends(_farm)]
