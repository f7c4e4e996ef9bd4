"""What the API's tests share: the canonical error, tiny models, and a look at what is left behind."""

import json
import struct
from pathlib import Path
from typing import Any, Protocol

from httpx import Response
from redis import Redis
from sqlalchemy import func, select

from farm.db.session import Database
from farm.db.tables import Asset, Chunk, Model, Render, Shot, Table
from farm.settings import Settings
from farm.storage import Storage, open_storage

WORK: list[type[Table]] = [Model, Shot, Render, Chunk, Asset]


class Answer(Protocol):
    """What `assert_error` looks at, so that it serves every HTTP client."""

    @property
    def status_code(self) -> int: ...
    def json(self) -> Any: ...


def assert_error(answer: Answer, code: str, status: int, *words: str) -> None:
    """The canonical error, whose message holds all `words`."""
    body = answer.json()
    assert (answer.status_code, set(body)) == (status, {"error"}), body
    error = body["error"]
    assert set(error) == {"code", "message", "status"}
    assert (error["code"], error["status"]) == (code, status), error
    assert error["message"]
    for word in words:
        assert word in error["message"]


def glb(binary: bytes = b"", **document: Any) -> bytes:
    """A valid GLB: by default the smallest there is."""
    if binary:
        binary += b"\0" * (-len(binary) % 4)
        document["buffers"] = [{"byteLength": len(binary)}]
    text = json.dumps({"asset": {"version": "2.0"}, **document}).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    if binary:
        chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def gltf() -> bytes:
    """The smallest self-contained glTF."""
    return json.dumps({"asset": {"version": "2.0"}}).encode()


def upload(
    api: Any,
    content: bytes | None = None,
    name: str = "chair.glb",
    settings: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """POST /v1/models with a form as curl sends it."""
    fields = {} if settings is None else {"renderSettings": settings}
    answer: Response = api.post(
        "/v1/models", files={"file": (name, glb() if content is None else content)}, data=fields, headers=headers
    )
    return answer


def uploaded(api: Any, content: bytes | None = None, **rest: Any) -> dict[str, Any]:
    """The `data` of an upload that went well."""
    answer = upload(api, content, **rest)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def credits_of(api: Any) -> int:
    """What the account that calls has left."""
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
    """No row of work, no stored or temporary file, no ring of the doorbell."""
    assert {table.__name__: count(database, table) for table in WORK} == {table.__name__: 0 for table in WORK}
    assert [name for name in files_in(settings.data) if not name.startswith("plinth.db")] == []
    assert stored(open_storage(settings)) == []
    assert redis.keys() == []
