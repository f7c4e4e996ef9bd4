"""The migration makes the very tables that the code describes."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from farm.db.session import Database
from farm.db.tables import Table
from farm.settings import Settings

pytestmark = pytest.mark.on_both_databases


def test_makes_the_described_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        # PostgreSQL compares defaults with `=`, which JSON does not have there.
        compared = {"compare_type": True, "compare_server_default": database.engine.dialect.name == "sqlite"}
        context = MigrationContext.configure(connection, opts=compared)
        assert compare_metadata(context, Table.metadata) == []


def test_changes_nothing_the_second_time(database: Database) -> None:
    database.upgrade()
    assert database.version() == database.newest_version()


def test_finds_no_version_in_an_empty_database(settings: Settings) -> None:
    database = Database(settings.database)
    assert database.version() is None
    assert inspect(database.engine).get_table_names() == []
    database.close()


def test_leaves_no_table_after_a_downgrade(database: Database) -> None:
    command.downgrade(database._alembic(), "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
