"""What may end a browser's session while a form is on its way, with the response that the form then gets."""

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import NamedTuple

from fastapi.routing import APIRoute
from httpx import Response
from sqlalchemy import select

from farm.accounts import erasure
from farm.db import sessions
from farm.db.session import Database
from farm.db.tables import Account, Table, now
from farm.scheduling.render_status import OVER


class Ending(NamedTuple):
    """`happen` ends the session of an account; then its form gets `status`, and the path that it leads to, if any."""

    happen: Callable[[Database, Account], None]
    status: int
    location: str | None = None


def log_out(database: Database, account: Account) -> None:
    with database.write() as db:
        sessions.end(db, account.id)


def suspend(database: Database, account: Account) -> None:
    with database.write() as db:
        db.get_one(Account, account.id).suspended_at = now()


def erase(database: Database, account: Account) -> None:
    with database.write() as db:
        erasure.erase(db, account.id, OVER)


ENDINGS = {
    "logged out": Ending(log_out, 303, "/portal/log-in"),
    "suspended": Ending(suspend, 403),
    "erased": Ending(erase, 303, "/portal/log-in"),
}


def assert_ended(response: Response, ending: Ending) -> None:
    assert (response.status_code, response.headers.get("location")) == (ending.status, ending.location), response.text


def posts(parts: Iterable[ModuleType]) -> list[APIRoute]:
    """The routes of all forms and uploads in modules with pages."""
    routes = [route for part in parts for route in part.router.routes]
    return [route for route in routes if isinstance(route, APIRoute) and route.methods == {"POST"}]


def rows(database: Database) -> dict[str, list[str]]:
    """All that the database holds, by table."""
    with database.read() as db:
        return {
            table.name: sorted(str(row) for row in db.execute(select(table))) for table in Table.metadata.sorted_tables
        }
