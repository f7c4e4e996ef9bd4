"""/v1/health: whether the API can reach its database and Redis."""

from collections.abc import Callable
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter
from pydantic import Field
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import Farm, FarmDep
from api.envelope import ApiModel, Data
from api.errors import errors
from farm.db.accounts import accounts_exist
from farm.errors import Unavailable

log = structlog.get_logger()
router = APIRouter(tags=["Health"])


class Health(ApiModel):
    """All parts of the farm that the API needs are up."""

    status: Annotated[Literal["ok"], Field(description="The API as a whole")] = "ok"
    database: Annotated[Literal["ok"], Field(description="The database of accounts, models and renders")] = "ok"
    redis: Annotated[Literal["ok"], Field(description="The Redis server that wakes the workers")] = "ok"


@router.get("/health", responses=errors(Unavailable, public=True))
def health(farm: FarmDep) -> Data[Health]:
    """Query the database and Redis. 503 names the parts that are down."""
    checks: dict[str, Callable[[Farm], object]] = {"database": _query_database, "redis": lambda farm: farm.redis.ping()}
    down = []
    for part, check in checks.items():
        try:
            check(farm)
        except (SQLAlchemyError, RedisError, OSError) as error:
            log.warning("health_check_failed", part=part, error=str(error))
            down.append(part)
    if down:
        raise Unavailable(f"Down: {', '.join(down)}")
    return Data(data=Health())


def _query_database(farm: Farm) -> None:
    with farm.database.read() as db:
        accounts_exist(db)  # reads a table, so that a database that was never migrated counts as down
