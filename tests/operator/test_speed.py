"""The operator's pages read the database as often for a large farm as for a small one."""

import pytest

from farm.db.session import Database
from farm.settings import Settings
from tests.support.busy_farm import fill
from tests.support.clients import Client
from tests.support.portal import Browser, counted_statements

NODES, RENDERS = 200, 10_000
MAX_STATEMENTS = 20  # of a page, with those of the session


@pytest.mark.on_both_databases
def test_reads_the_database_as_often_for_many_nodes_and_renders(
    operator: Browser, database: Database, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farm.metrics.STORED_BYTES_TTL_SECONDS", 3600)
    first = fill(database, client.account, settings, nodes=1, renders=10)[0]
    paths = [
        "/operator/nodes",
        "/operator/nodes/node-000",
        "/operator/work",
        "/operator/work?q=example.com&status=done&node=node-000",
        f"/operator/renders/{first}",
        "/operator/charts?span=week",
        "/operator/accounts",
        f"/operator/accounts/{client.account.id}",
        "/operator/audit",
    ]
    before = counted(operator, paths)
    with database.write() as db:
        db.connection().exec_driver_sql("DELETE FROM nodes")
    fill(database, client.account, settings, nodes=NODES, renders=RENDERS)
    after = counted(operator, paths)
    assert after == before
    assert max(after.values()) <= MAX_STATEMENTS


def counted(operator: Browser, paths: list[str]) -> dict[str, int]:
    for path in paths:  # the bytes of stored files are remembered for a while
        operator.get(path)
    return {path: statements(operator, path) for path in paths}


def statements(operator: Browser, path: str) -> int:
    with counted_statements(operator.client.app) as found:
        response = operator.get(path)
    assert response.status_code == 200, response.text
    return len(found)
