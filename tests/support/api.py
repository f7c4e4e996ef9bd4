"""Calls of the API, its error form, and checks of the rows and files that it leaves."""

from pathlib import Path
from typing import Any, Protocol

from httpx import Response
from redis import Redis
from sqlalchemy import func, select

from api.rate_limits import PREFIX
from farm.db.session import Database
from farm.db.tables import Asset, Chunk, Model, Render, Shot, Table
from farm.settings import Settings
from farm.storage import Storage, open_storage
from tests.support.glb import glb

WORK: list[type[Table]] = [Model, Shot, Render, Chunk, Asset]


class ErrorResponse(Protocol):
    """The part of a response that `assert_error` checks, whichever HTTP client it comes from."""

    @property
    def status_code(self) -> int: ...
    def json(self) -> Any: ...


def assert_error(response: ErrorResponse, code: str, status: int, *words: str) -> None:
    """Assert that the response is an error of this code and status whose message contains all `words`."""
    body = response.json()
    assert (response.status_code, set(body)) == (status, {"error"}), body
    error = body["error"]
    assert set(error) == {"code", "message", "status"}
    assert (error["code"], error["status"]) == (code, status), error
    assert error["message"]
    for word in words:
        assert word in error["message"]


def upload(
    api: Any,
    content: bytes | None = None,
    name: str = "chair.glb",
    settings: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """POST /v1/models with a form as curl sends it."""
    fields = {} if settings is None else {"renderSettings": settings}
    response: Response = api.post(
        "/v1/models", files={"file": (name, glb() if content is None else content)}, data=fields, headers=headers
    )
    return response


def uploaded(api: Any, content: bytes | None = None, **rest: Any) -> dict[str, Any]:
    """Upload a model, assert that it was accepted, and return the response's `data`."""
    response = upload(api, content, **rest)
    assert response.status_code == 201, response.text
    data: dict[str, Any] = response.json()["data"]
    return data


def credits_of(api: Any) -> int:
    """The credits of the calling account."""
    return int(api.get("/v1/account").json()["data"]["credits"])


def count(database: Database, table: type[Table]) -> int:
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(table)) or 0


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def stored(storage: Storage) -> list[str]:
    """The keys of all files of the farm."""
    return sorted(key for folder in ("models/", "overlays/", "renders/") for key in storage.keys(folder))


def assert_nothing_left(settings: Settings, database: Database, redis: Redis) -> None:
    """Assert that there is no row of work, no stored or temporary file, and no wake-up in Redis."""
    assert {table.__name__: count(database, table) for table in WORK} == {table.__name__: 0 for table in WORK}
    assert [name for name in files_in(settings.data) if not name.startswith("plinth.db")] == []
    assert stored(open_storage(settings)) == []
    assert [key for key in redis.scan_iter() if not key.startswith(PREFIX.encode())] == [], "no wake-up"
