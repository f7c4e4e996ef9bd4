"""What a request can reach: the farm's settings, database, storage and doorbell."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from redis import Redis
from sqlalchemy.orm import Session

from farm.db.session import Database
from farm.queue.queues import Doorbell
from farm.settings import Settings
from farm.storage import Storage


@dataclass(frozen=True)
class Farm:
    """Everything behind the API, opened when the API starts and closed when it stops."""

    settings: Settings
    database: Database
    storage: Storage
    redis: Redis

    @property
    def bell(self) -> Doorbell:
        return Doorbell(self.redis)


def farm_of(request: Request) -> Farm:
    return cast(Farm, request.app.state.farm)


TheFarm = Annotated[Farm, Depends(farm_of)]


def _reading(farm: TheFarm) -> Iterator[Session]:
    with farm.database.read() as db:
        yield db


def _writing(farm: TheFarm) -> Iterator[Session]:
    with farm.database.write() as db:
        yield db


# Scope "function" ends the transaction before the answer is sent: who reads 201 finds the row, and a commit that fails
# is a 500 instead of a lie.
Reading = Annotated[Session, Depends(_reading, scope="function")]
Writing = Annotated[Session, Depends(_writing, scope="function")]
