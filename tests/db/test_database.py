"""Transactions of the database, and statements that are each one of their own."""

import contextlib

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from farm.accounts import accounts
from farm.db import attempt_logs
from farm.db.counters import FRAMES, totals
from farm.db.session import Database, later
from farm.db.tables import Account, Tally


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


class TestLater:
    @pytest.mark.on_both_databases
    def test_writes_all_of_it_and_what_was_changed_before(self, database: Database) -> None:
        with database.write() as db:
            accounts.create(db, "one@example.com", credits_=0)
            db.flush()
            account = db.scalars(select(Account)).one()
            account.email = "another@example.com"
            count = insert(Tally)
            for source in ("drawn", "drawn", "cache"):
                later(db, count, {"name": "frames", "labels": source, "amount": 3})
            later(db, count, {"id": "one", "name": "others", "labels": "", "amount": 3})
            assert "frames" not in totals(db)
        assert is_there(database, "another@example.com")
        with database.read() as db:
            assert totals(db)["frames"] == {("drawn",): 6, ("cache",): 3}
            assert db.get_one(Tally, "one").name == "others", "it came with other columns"

    @pytest.mark.on_both_databases
    def test_raises_what_the_server_refuses_and_leaves_nothing(self, database: Database) -> None:
        def write() -> None:
            with database.write() as db:
                FRAMES.add(db, 3, tier="share", engine="cycles", source="drawn")
                attempt_logs.store(db, "no chunk", 1, "one", "")

        with pytest.raises(IntegrityError):
            write()
        with database.read() as db:
            assert not totals(db)

    @pytest.mark.parametrize("database_kind", ["postgresql"])
    def test_raises_as_an_outage_that_the_server_is_gone(self, database: Database) -> None:
        with pytest.raises(OperationalError), database.write() as db:
            later(db, text("SELECT pg_terminate_backend(pg_backend_pid())"), {})
        assert not is_there(database, "one@example.com"), "the next question has a connection of its own"


def is_there(database: Database, email: str) -> bool:
    with database.read() as db:
        return accounts.find(db, email) is not None
