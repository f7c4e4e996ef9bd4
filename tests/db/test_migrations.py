"""The migrations create the tables that farm.db.tables describes."""

import contextlib

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from farm.accounts import accounts
from farm.db.accounts import accounts_exist
from farm.db.session import Database
from farm.db.tables import Table
from farm.settings import Settings

pytestmark = pytest.mark.on_both_databases


class TestUpgrade:
    def test_creates_the_described_tables(self, database: Database) -> None:
        with database.engine.connect() as connection:
            # PostgreSQL compares defaults with `=`, which JSON does not have there.
            compared = {"compare_type": True, "compare_server_default": database.engine.dialect.name == "sqlite"}
            context = MigrationContext.configure(connection, opts=compared)
            assert compare_metadata(context, Table.metadata) == []

    def test_changes_nothing_when_repeated(self, database: Database) -> None:
        with database.write() as db:
            accounts.create(db, "ada@example.com")
        database.upgrade()
        assert database.version() == database.newest_version()
        with database.read() as db:
            assert accounts_exist(db)

    def test_starts_from_an_empty_database_without_a_version(self, settings: Settings) -> None:
        with contextlib.closing(Database(settings.database)) as database:
            assert database.version() is None
            assert not settings.data.exists()
            database.upgrade()
            assert database.version() == database.newest_version() is not None


class TestDowngrade:
    def test_drops_all_tables(self, database: Database) -> None:
        command.downgrade(database._alembic(), "base")
        assert inspect(database.engine).get_table_names() == ["alembic_version"]
