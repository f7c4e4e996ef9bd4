"""Lists load the columns and rows that they show, and no others: names from files can be long, and many."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from farm.db.session import Database
from farm.db.tables import Model
from tests.intake.scans import picture
from tests.support.api import uploaded

SQL = list[str]
# Conditions that select one object, or what belongs to the objects of a page.
GIVEN_ROWS = re.compile(
    r"WHERE (models\.id = |renders\.id IN |keys\.digest = |\S+ = tags\.model_id|tags\.model_id IN )"
)


@pytest.fixture
def model_id(api: TestClient, database: Database) -> str:
    """A model with long names, two renders, and an overlay."""
    api.post("/v1/overlays", files={"file": ("a.png", picture("PNG"))})
    model_id = str(uploaded(api)["modelId"])
    with database.write() as db:
        db.get_one(Model, model_id).clips = ["Walk" * 1000] * 1000
    return model_id


@pytest.fixture
def sql(api: TestClient, model_id: str) -> Iterator[SQL]:  # noqa: ARG001 - made before
    """The statements of the calls that follow."""
    statements: SQL = []

    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = api.app.state.farm.database.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", record)
    yield statements
    event.remove(engine, "before_cursor_execute", record)


def rows(sql: SQL) -> list[str]:
    """The statements that read whole rows."""
    return [statement for statement in sql if ".created_at" in re.split(r"\sFROM\s", statement)[0]]


@pytest.mark.parametrize("path", ["models", "models/MODEL", "renders", "renders?model=MODEL", "overlays"])
class TestLists:
    def test_read_no_column_that_they_do_not_show(self, api: TestClient, model_id: str, sql: SQL, path: str) -> None:
        response = api.get(f"/v1/{path.replace('MODEL', model_id)}")
        assert response.status_code == 200
        assert response.json()["data"]
        assert rows(sql), "the list itself"
        for column in ("models.clips", "shots.spec", "chunks.worker", "segments.", "attempt_logs."):
            assert [statement for statement in sql if column in statement] == []

    def test_read_no_more_rows_than_a_page(self, api: TestClient, model_id: str, sql: SQL, path: str) -> None:
        api.get(f"/v1/{path.replace('MODEL', model_id)}")
        unlimited = [statement for statement in rows(sql) if "LIMIT" not in statement]
        assert [statement for statement in unlimited if not GIVEN_ROWS.search(statement)] == []
