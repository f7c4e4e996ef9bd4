"""The migrations make the very tables that the code describes, and SQLite is run as a farm needs it."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text

from farm.db.session import Database
from farm.db.tables import Account, Key, LedgerEntry, Table
from farm.settings import Settings


@pytest.mark.on_both_databases
def test_the_migrated_tables_are_the_described_ones(database: Database) -> None:
    with database.engine.connect() as connection:
        # PostgreSQL compares defaults by asking `=`, which JSON does not have there.
        compared = {"compare_type": True, "compare_server_default": database.engine.dialect.name == "sqlite"}
        context = MigrationContext.configure(connection, opts=compared)
        assert compare_metadata(context, Table.metadata) == []


@pytest.mark.on_both_databases
def test_migrating_twice_changes_nothing(database: Database) -> None:
    database.upgrade()
    assert database.version() == database.newest_version()


@pytest.mark.on_both_databases
def test_an_empty_database_has_no_version(settings: Settings) -> None:
    database = Database(settings.database)
    assert database.version() is None
    assert inspect(database.engine).get_table_names() == []
    database.close()


@pytest.mark.on_both_databases
def test_accounts_from_before_there_were_credits_get_the_free_ones_and_keep_their_keys(settings: Settings) -> None:
    database = Database(settings.database)
    command.upgrade(database._alembic(), "0001")
    with database.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO accounts (id, email, is_admin, created_at) VALUES ('a', 'a@b', false, CURRENT_TIMESTAMP)")
        )
        connection.execute(
            text("INSERT INTO keys (id, account_id, digest, created_at) VALUES ('k', 'a', 'd', CURRENT_TIMESTAMP)")
        )
    database.upgrade()
    with database.read() as db:
        assert db.get_one(Account, "a").credits == 10
        assert [(entry.kind, entry.credits) for entry in db.scalars(select(LedgerEntry))] == [("grant", 10)]
        key = db.get_one(Key, "k")
        assert (key.scopes, key.expires_at) == (None, None)
    command.downgrade(database._alembic(), "0001")
    database.close()


def test_sqlite_lets_readers_and_a_writer_work_side_by_side(database: Database) -> None:
    with database.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}


def test_models_keep_their_renders_when_their_table_is_rebuilt(settings: Settings) -> None:
    """SQLite would delete what refers to a table that it rebuilds, were it not told otherwise."""
    database = Database(settings.database)
    command.upgrade(database._alembic(), "0001")
    columns = {
        "accounts": "id, email, is_admin",
        "models": "id, account_id, original_name, format, tags, file_size, sha256",
        "shots": "id, model_id, digest, spec, frames",
        "renders": "id, account_id, model_id, shot_id, is_system_preview, status, settings, updated_at",
    }
    values = {
        "accounts": "'a', 'a@b', false",
        "models": "'m', 'a', 'x.glb', 'glb', '[]', 1, 'f'",
        "shots": "'s', 'm', 'd', '{}', 1",
        "renders": "'r', 'a', 'm', 's', false, 'done', '{}', CURRENT_TIMESTAMP",
    }
    with database.engine.begin() as connection:
        for table in columns:
            connection.execute(
                text(f"INSERT INTO {table} ({columns[table]}, created_at) VALUES ({values[table]}, CURRENT_TIMESTAMP)")
            )

    def rows() -> list[int]:
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            return [connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in columns]

    database.upgrade()
    assert rows() == [1, 1, 1, 1]
    command.downgrade(database._alembic(), "0001")
    assert rows() == [1, 1, 1, 1]
    database.upgrade()
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE models SET deleted_at = CURRENT_TIMESTAMP"))
    command.downgrade(database._alembic(), "0001")  # where nothing would hide it, nor its like that came after it
    assert rows() == [1, 0, 0, 0]
    database.close()
