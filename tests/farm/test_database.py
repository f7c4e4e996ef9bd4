"""Transactions of the database, and statements that are each one of their own."""

import contextlib

import pytest
from sqlalchemy import text

from farm import accounts
from farm.db.session import Database


@pytest.mark.on_both_databases
class TestAutocommit:
    def test_keeps_what_it_wrote(self, database: Database) -> None:
        with database.autocommit() as db:
            accounts.create(db, "one@example.com", credits_=0)
        assert is_there(database, "one@example.com")

    def test_takes_one_statement_after_the_other_where_the_server_is_a_trip_away(self, database: Database) -> None:
        with contextlib.suppress(ZeroDivisionError), database.autocommit() as db:
            accounts.create(db, "one@example.com", credits_=0)
            raise ZeroDivisionError
        assert is_there(database, "one@example.com") == (database.engine.dialect.name == "postgresql")

    def test_leaves_the_transactions_after_it_whole(self, database: Database) -> None:
        with contextlib.suppress(ZeroDivisionError), database.autocommit() as db:
            accounts.create(db, "one@example.com", credits_=0)
            raise ZeroDivisionError
        is_there(database, "one@example.com")
        with contextlib.suppress(ZeroDivisionError), database.write() as db:
            accounts.create(db, "two@example.com", credits_=0)
            db.flush()
            raise ZeroDivisionError
        assert not is_there(database, "two@example.com")


class TestRead:
    @pytest.mark.parametrize("database_kind", ["postgresql"])
    def test_leaves_what_the_server_has_prepared(self, database: Database) -> None:
        for _ in range(10):  # psycopg has prepared what is asked more than five times
            assert not is_there(database, "one@example.com")
        with database.read() as db:
            prepared = db.scalars(text("SELECT statement FROM pg_prepared_statements")).all()
        assert any("FROM accounts" in statement for statement in prepared)


def is_there(database: Database, email: str) -> bool:
    with database.read() as db:
        return accounts.find(db, email) is not None
