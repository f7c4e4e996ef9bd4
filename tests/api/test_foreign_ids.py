"""Every call with the ids of another account: as if these did not exist, and without any effect.

The calls are those of the router, so that a new one is covered without a change here; a new kind of id is not found in
`Things` and fails.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from farm.db.session import Database
from farm.db.tables import Account, Chunk, Model, Overlay, Render, Shot, Table
from farm.settings import Settings
from farm.storage import Storage
from tests.intake.scans import picture
from tests.support.api import assert_error, stored, uploaded
from tests.support.clients import Client
from tests.support.finished_renders import Finish

pytestmark = pytest.mark.on_both_databases

CALLS = [
    (method, path.removeprefix("/v1"))
    for path, methods in create_app(Settings()).state.methods.items()
    for method in methods
    if path.startswith("/v1/") and "_id}" in path and not path.startswith("/v1/admin/")  # those see all accounts
]
assert ("GET", "/models/{model_id}") in CALLS
UNKNOWN = "0" * 12
BODIES: dict[tuple[str, str], Any] = {("PATCH", "/models/{model_id}"): {"title": "Mine", "tags": ["mine"]}}
TABLES: list[type[Table]] = [Account, Model, Overlay, Shot, Render, Chunk]


@dataclass(frozen=True)
class Things:
    """Ids of the account's objects, by their names in paths."""

    model_id: str
    render_id: str
    overlay_id: str


@pytest.fixture
def things(api: TestClient, finished: Finish) -> Things:
    """One object of each kind; the render is done, so that it has all files."""
    model = uploaded(api)
    finished(model["renderId"])
    overlay = api.post("/v1/overlays", files={"file": ("a.png", picture("PNG"))}).json()["data"]
    return Things(model["modelId"], model["renderId"], overlay["id"])


@pytest.fixture
def intruder(database: Database, stranger: Client) -> dict[str, str]:
    """The headers of another account, an admin, whom no lack of rights stops."""
    with database.write() as db:
        db.get_one(Account, stranger.account.id).is_admin = True
    return stranger.headers


def snapshot(database: Database, storage: Storage) -> tuple[list[Any], list[str]]:
    """All rows that a call could change, and all files."""
    with database.read() as db:
        rows = [
            {column.name: getattr(row, column.key) for column in row.__mapper__.columns}
            for table in TABLES
            for row in db.scalars(select(table).order_by(table.id))
        ]
    return rows, stored(storage)


class TestEveryCallWithAnId:
    def test_treats_foreign_ids_as_unknown(
        self, api: TestClient, database: Database, storage: Storage, things: Things, intruder: dict[str, str]
    ) -> None:
        before = snapshot(database, storage)
        for method, path in CALLS:
            call, body = f"{method} {path}", BODIES.get((method, path))
            foreign, unknown = (
                api.request(method, f"/v1{fill(path, ids)}", headers=intruder, json=body)
                for ids in (asdict(things), dict.fromkeys(asdict(things), UNKNOWN))
            )
            assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content), call
            assert foreign.status_code == 404, call
            if method != "HEAD":
                kind = re.findall(r"{(\w+)_id}", path)[0]
                assert_error(foreign, f"{kind}_not_found", 404)
            assert snapshot(database, storage) == before, call

    def test_finds_the_ids_of_the_account_itself(
        self, api: TestClient, database: Database, client: Client, things: Things
    ) -> None:
        """Otherwise the test above would also pass for a call that never finds anything."""
        with database.write() as db:
            db.get_one(Account, client.account.id).is_admin = True
        # What is deleted comes last, and a model after its render, which it would take along.
        for method, path in sorted(CALLS, key=lambda call: (call[0] == "DELETE", call[1].startswith("/models/"))):
            response = api.request(method, f"/v1{fill(path, asdict(things))}", json=BODIES.get((method, path)))
            expected = 409 if path.endswith("/dismiss") else 200  # the render has no error to dismiss
            assert response.status_code == expected, f"{method} {path}"


def fill(path: str, ids: dict[str, str]) -> str:
    return path.format(**ids)


class TestIdsElsewhere:
    def test_of_models_are_unknown_in_orders(self, api: TestClient, things: Things, intruder: dict[str, str]) -> None:
        order = {"modelId": things.model_id}
        assert_error(api.post("/v1/renders", json=order, headers=intruder), "model_not_found", 404)
        batch = api.post("/v1/renders/batch", json={"renders": [order]}, headers=intruder)
        assert_error(batch, "model_not_found", 404)

    def test_of_overlays_are_unknown_in_settings(
        self, api: TestClient, things: Things, intruder: dict[str, str]
    ) -> None:
        own = uploaded(api, headers=intruder)["modelId"]
        order = {"modelId": own, "renderSettings": {"bgImageId": things.overlay_id}}
        answer = api.post("/v1/renders", json=order, headers=intruder)
        assert_error(answer, "invalid_settings", 400, "bgImageId")

    def test_of_models_find_no_renders(self, api: TestClient, things: Things, intruder: dict[str, str]) -> None:
        answer = api.get(f"/v1/renders?model={things.model_id}", headers=intruder).json()
        assert (answer["data"], answer["meta"]["total"]) == ([], 0)

    @pytest.mark.parametrize("path", ["models?archived=true", "renders", "overlays"])
    def test_are_in_no_list(self, api: TestClient, things: Things, intruder: dict[str, str], path: str) -> None:
        assert asdict(things)
        assert len(api.get(f"/v1/{path}").json()["data"]) >= 1
        assert api.get(f"/v1/{path}", headers=intruder).json()["data"] == []
