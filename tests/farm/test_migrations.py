"""The migrations make the very tables that the code describes, and SQLite is run as a farm needs it."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from farm.db.session import Database
from farm.db.tables import Table
from farm.settings import Settings


def test_the_migrated_tables_are_the_described_ones(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Table.metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    database.upgrade()
    assert database.version() == database.newest_version()


def test_an_empty_database_has_no_version(settings: Settings) -> None:
    database = Database(settings.database)
    assert database.version() is None
    assert inspect(database.engine).get_table_names() == []
    database.close()


def test_sqlite_lets_readers_and_a_writer_work_side_by_side(database: Database) -> None:
    with database.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}
