"""Transactions: committed or rolled back as a whole, on SQLite and on PostgreSQL."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from farm.accounts import accounts
from farm.db import session
from farm.db.accounts import find_account
from farm.db.session import Database, after_commit, rows_changed
from farm.db.tables import Account, Key

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

    def test_calls_back_after_a_commit_but_not_a_rollback(self, database: Database) -> None:
        calls: list[str] = []
        with database.write() as db:
            after_commit(db, lambda: calls.append("first"))
            after_commit(db, lambda: calls.append("second"))
            assert calls == []
        with failing(database) as db:
            after_commit(db, lambda: calls.append("rolled back"))
        assert calls == ["first", "second"]

    def test_calls_back_after_the_commit_not_after_a_savepoint(self, database: Database) -> None:
        calls: list[str] = []
        with failing(database) as db:
            after_commit(db, lambda: calls.append("committed"))
            with db.begin_nested():
                accounts.create(db, EMAIL)
        assert calls == []

    def test_counts_the_rows_that_a_statement_changed(self, database: Database) -> None:
        with database.write() as db:
            accounts.create(db, EMAIL)
            suspend = update(Account).values(suspended_at=None)
            assert rows_changed(db, suspend.where(Account.email == EMAIL)) == 1
            assert rows_changed(db, suspend.where(Account.email == "two@example.com")) == 0

    def test_rolls_back_when_the_commit_fails(self, database: Database) -> None:
        with pytest.raises(IntegrityError), database.write() as db:
            db.add_all([Account(email=EMAIL), Key(account_id="no account", digest="0")])
        assert not exists(database)


@pytest.mark.parametrize("database_kind", ["postgresql"])
class TestPostgresql:
    def test_reconnects_after_an_error(self, database: Database) -> None:
        with pytest.raises(OperationalError), database.write() as db:
            db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert not exists(database)

    def test_disconnects_a_client_that_idles_in_a_transaction(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session, "IDLE_IN_TRANSACTION_TIMEOUT_SECONDS", 1)

        def idle() -> None:
            with contextlib.closing(Database(database.url)) as impatient, impatient.write() as db:
                accounts.create(db, EMAIL)
                db.flush()
                time.sleep(2)

        with pytest.raises(DBAPIError, match="idle-in-transaction timeout"):
            idle()
        assert not exists(database)


class TestSqlite:
    def test_lets_a_reader_and_a_writer_work_concurrently(self, database: Database) -> None:
        with database.read() as reader:
            assert find_account(reader, EMAIL) is None
            with database.write() as writer:
                accounts.create(writer, EMAIL)
            assert find_account(reader, EMAIL) is None, "the reader does not see a later commit"
        assert exists(database)

    def test_locks_before_a_writer_reads(self, database: Database) -> None:
        """A transaction that read first and wrote later would fail when another wrote in between."""
        with database.write() as db, contextlib.closing(database.engine.raw_connection()) as other:
            db.scalars(select(Account)).all()
            other.execute("PRAGMA busy_timeout=1")
            with pytest.raises(sqlite3.OperationalError, match="database is locked"):
                other.execute("BEGIN IMMEDIATE")

    def test_waits_for_the_lock_of_another_writer(self, database: Database) -> None:
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def exists(database: Database) -> bool:
    with database.read() as db:
        return find_account(db, EMAIL) is not None
