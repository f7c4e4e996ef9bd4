"""Whether the farm's front door works: database and Redis, each asked."""

from collections.abc import Callable
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter
from pydantic import Field
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import Farm, TheFarm
from api.envelope import Data, Wire
from api.errors import errors
from farm.db import accounts
from farm.errors import Unavailable

log = structlog.get_logger()
router = APIRouter(tags=["Health"])


class Health(Wire):
    """All parts are well."""

    status: Annotated[Literal["ok"], Field(description="The farm's front door")] = "ok"
    database: Annotated[Literal["ok"], Field(description="Where accounts, models and renders are kept")] = "ok"
    redis: Annotated[Literal["ok"], Field(description="What wakes the workers")] = "ok"


@router.get("/health", responses=errors(Unavailable, public=True))
def health(farm: TheFarm) -> Data[Health]:
    """Ask the database and Redis. 503 names the parts that are down."""
    checks: dict[str, Callable[[Farm], object]] = {"database": _ask_database, "redis": lambda farm: farm.redis.ping()}
    down = []
    for part, check in checks.items():
        try:
            check(farm)
        except (SQLAlchemyError, RedisError, OSError) as error:
            log.warning("a part of the farm is down", part=part, error=str(error))
            down.append(part)
    if down:
        raise Unavailable(f"Down: {', '.join(down)}")
    return Data(data=Health())


def _ask_database(farm: Farm) -> None:
    with farm.database.read() as db:
        accounts.exist(db)  # reads a table, so that a database that was never migrated counts as down
