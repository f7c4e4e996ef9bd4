"""Databases whose tables are of this code's version, and those whose are not."""

import contextlib

import pytest
from sqlalchemy import text

from farm.db.session import Database
from farm.db.tables import Table

# What the message about each has to say.
FIXES = {
    "empty": "no tables yet: run `farm db upgrade`",
    "older": "run `farm db upgrade`",
    "newer": "update Plinth on this machine",
}


def migrate(url: str) -> None:
    """Create a database's tables."""
    with contextlib.closing(Database(url)) as database:
        database.upgrade()


def make_wrong(database: Database, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a migrated database one of FIXES."""
    if version == "older":
        monkeypatch.setattr(Database, "newest_version", lambda _: "9999")
        return
    with database.engine.begin() as connection:
        if version == "newer":
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        else:
            connection.execute(text("DROP TABLE alembic_version"))
            Table.metadata.drop_all(connection)
