"""Transactions of the database: whole or not at all, and calls after the commit only."""

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from farm.accounts import accounts
from farm.db.accounts import find
from farm.db.session import Database, after_commit, rows_changed
from farm.db.tables import Account

EMAIL = "one@example.com"


@contextlib.contextmanager
def failing(database: Database) -> Iterator[Session]:
    """A transaction that fails at its end."""
    with contextlib.suppress(ZeroDivisionError), database.write() as db:
        yield db
        raise ZeroDivisionError


@pytest.mark.on_both_databases
class TestWrite:
    def test_commits_at_its_end(self, database: Database) -> None:
        with database.write() as db:
            accounts.create(db, EMAIL)
        assert exists(database)

    def test_rolls_back_on_an_error(self, database: Database) -> None:
        with failing(database) as db:
            accounts.create(db, EMAIL)
            db.flush()
        assert not exists(database)

    def test_calls_back_after_the_commit_and_not_after_a_rollback(self, database: Database) -> None:
        calls: list[str] = []
        with database.write() as db:
            after_commit(db, lambda: calls.append("committed"))
            assert calls == []
        with failing(database) as db:
            after_commit(db, lambda: calls.append("rolled back"))
        assert calls == ["committed"]

    def test_counts_the_rows_that_a_statement_changed(self, database: Database) -> None:
        with database.write() as db:
            accounts.create(db, EMAIL)
            suspend = update(Account).values(suspended_at=None)
            assert rows_changed(db, suspend.where(Account.email == EMAIL)) == 1
            assert rows_changed(db, suspend.where(Account.email == "two@example.com")) == 0


class TestLostServer:
    @pytest.mark.parametrize("database_kind", ["postgresql"])
    def test_is_an_operational_error_and_the_next_transaction_reconnects(self, database: Database) -> None:
        with pytest.raises(OperationalError), database.write() as db:
            db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert not exists(database)

    @pytest.mark.parametrize("database_kind", ["postgresql"])
    def test_ends_clients_that_stop_during_a_transaction(self, database: Database) -> None:
        with database.read() as db:
            assert db.scalar(text("SHOW idle_in_transaction_session_timeout")) == "30s"


def test_sqlite_lets_readers_and_a_writer_work_side_by_side(database: Database) -> None:
    with database.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}


def test_writers_on_sqlite_lock_before_they_read(database: Database) -> None:
    """A transaction that read first and wrote later would fail when another wrote in between."""
    with database.write() as db, contextlib.closing(database.engine.raw_connection()) as other:
        db.scalars(select(Account)).all()
        other.execute("PRAGMA busy_timeout=1")
        with pytest.raises(Exception, match="database is locked"):
            other.execute("BEGIN IMMEDIATE")


def exists(database: Database) -> bool:
    with database.read() as db:
        return find(db, EMAIL) is not None
