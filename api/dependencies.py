"""What a request can reach: the farm's settings, database, storage and doorbell.

An endpoint opens its transaction itself (`with farm.database.write() as db`) and ends it before it returns, in the one
thread that it runs in: docs/decisions/transactions-end-in-the-endpoint.md tells why that is no dependency.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, cast

from anyio import CapacityLimiter
from fastapi import Depends, Request
from redis import Redis

from farm.db.session import Database
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings
from farm.storage import Storage

MAX_CONCURRENT_CONVERSIONS = 2


@dataclass(frozen=True)
class Farm:
    """Everything behind the API, opened when the API starts and closed when it stops."""

    settings: Settings
    database: Database
    storage: Storage
    redis: Redis
    # Each may take a core and gigabytes for a while; the others wait their turn without holding a thread.
    conversions: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MAX_CONCURRENT_CONVERSIONS))
    # How many models each account has this API fetch from URLs right now.
    ingests: Counter[str] = field(default_factory=Counter)

    @property
    def doorbell(self) -> Doorbell:
        return Doorbell(self.redis)


def farm_of(request: Request) -> Farm:
    return cast(Farm, request.app.state.farm)


async def _farm(request: Request) -> Farm:  # async, because FastAPI sends anything else through a thread
    return farm_of(request)


FarmDep = Annotated[Farm, Depends(_farm)]
