"""Accounts and their keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from farm import accounts
from farm.db.session import Database
from farm.db.tables import ALPHABET, Key, now
from farm.errors import Forbidden, Unauthorized
from tests.conftest import Client


class TestKey:
    def test_opens_the_account_that_it_was_made_for(self, database: Database, client: Client, stranger: Client) -> None:
        with database.read() as db:
            assert accounts.authenticate(db, client.key).id == client.account.id
            assert accounts.authenticate(db, stranger.key).id == stranger.account.id

    def test_looks_like_the_reference_says(self, client: Client) -> None:
        body = client.key.removeprefix("dxgl_sk_")
        assert len(body) == accounts.RANDOM_LENGTH + accounts.CHECK_LENGTH
        assert set(body) <= set(ALPHABET)

    def test_is_nowhere_in_the_database(self, database: Database, client: Client) -> None:
        secret = client.key.removeprefix("dxgl_sk_")[: accounts.RANDOM_LENGTH]
        with database.read() as db:
            rows = [list(vars(key).values()) for key in db.scalars(select(Key))]
        assert rows
        assert secret not in str(rows)

    def test_an_account_may_have_several_and_lose_one(self, database: Database, client: Client) -> None:
        with database.write() as db:
            second = accounts.create_key(db, client.account)
        with database.write() as db:
            accounts.revoke_key(db, client.key)
        with database.read() as db:
            assert accounts.authenticate(db, second).id == client.account.id
            with pytest.raises(Unauthorized):
                accounts.authenticate(db, client.key)

    def test_of_a_suspended_account_is_forbidden(self, database: Database, client: Client) -> None:
        with database.write() as db:
            db.merge(client.account).suspended_at = now()
        with database.read() as db, pytest.raises(Forbidden):
            accounts.authenticate(db, client.key)

    @pytest.mark.parametrize("raw", ["", "dxgl_sk_", "dxgl_sk_a", "secret", "dxgl_sk_" + "ü" * 38, "\0", "\ud800"])
    def test_that_is_none_is_refused(self, database: Database, raw: str) -> None:
        with database.read() as db, pytest.raises(Unauthorized):
            accounts.authenticate(db, raw)

    @given(st.data())
    def test_a_typing_error_is_seen_without_the_database(self, data: st.DataObject) -> None:
        body = data.draw(st.text(ALPHABET, min_size=32, max_size=32))
        place = data.draw(st.integers(0, 31))
        wrong = data.draw(st.sampled_from(ALPHABET).filter(lambda letter: letter != body[place]))
        typed = body[:place] + wrong + body[place + 1 :]
        assert accounts._check(typed) != accounts._check(body)


class TestAccount:
    def test_one_an_address(self, database: Database, client: Client) -> None:
        with database.write() as db, pytest.raises(ValueError, match="already"):
            accounts.create(db, client.account.email)
