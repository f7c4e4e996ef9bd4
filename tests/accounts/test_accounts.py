"""Accounts and their keys."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from farm.accounts import accounts
from farm.db import accounts as queries
from farm.db.session import Database
from farm.db.tables import Key, now
from farm.errors import Forbidden, InsufficientScope, TokenExpired, Unauthorized
from farm.ids import ALPHABET
from tests.support.clients import Client

pytestmark = pytest.mark.on_both_databases


SCOPE = "renders:read"


class TestKey:
    def test_opens_the_account_that_it_was_made_for(self, database: Database, client: Client, stranger: Client) -> None:
        with database.read() as db:
            assert accounts.authenticate(db, client.key, SCOPE).account_id == client.account.id
            assert accounts.authenticate(db, stranger.key, SCOPE).account_id == stranger.account.id

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
            assert accounts.authenticate(db, second, SCOPE).account_id == client.account.id
            with pytest.raises(Unauthorized):
                accounts.authenticate(db, client.key, SCOPE)

    def test_of_a_suspended_account_is_forbidden(self, database: Database, client: Client) -> None:
        with database.write() as db:
            db.merge(client.account).suspended_at = now()
        with database.read() as db, pytest.raises(Forbidden):
            accounts.authenticate(db, client.key, SCOPE)

    def test_ends_when_it_expires(self, database: Database, client: Client) -> None:
        with database.write() as db:
            late = accounts.create_key(db, client.account, expires_at=now() + timedelta(hours=1))
            over = accounts.create_key(db, client.account, expires_at=now() - timedelta(seconds=1))
        with database.read() as db:
            assert accounts.authenticate(db, late, SCOPE)
            with pytest.raises(TokenExpired):
                accounts.authenticate(db, over, SCOPE)

    def test_that_was_revoked_does_not_tell_that_it_expired(self, database: Database, client: Client) -> None:
        with database.write() as db:
            raw = accounts.create_key(db, client.account, expires_at=now())
            accounts.revoke_key(db, raw)
        with database.read() as db, pytest.raises(Unauthorized) as refusal:
            accounts.authenticate(db, raw, SCOPE)
        assert refusal.value.code == "unauthorized"

    @pytest.mark.parametrize("scope", accounts.SCOPES)
    def test_may_do_what_its_scopes_name_and_nothing_else(self, database: Database, client: Client, scope: str) -> None:
        with database.write() as db:
            raw = accounts.create_key(db, client.account, scopes=[scope])
        with database.read() as db:
            assert accounts.authenticate(db, raw, scope)
            for other in accounts.SCOPES.keys() - {scope}:
                with pytest.raises(InsufficientScope, match=other):
                    accounts.authenticate(db, raw, other)

    @pytest.mark.parametrize("scope", accounts.SCOPES)
    def test_without_scopes_may_do_everything(self, database: Database, client: Client, scope: str) -> None:
        with database.read() as db:
            assert accounts.authenticate(db, client.key, scope)

    def test_can_be_revoked_by_its_id(self, database: Database, client: Client, stranger: Client) -> None:
        with database.write() as db:
            (key,) = queries.keys_of(db, client.account)
            accounts.revoke_key(db, key.id)
        with database.read() as db:
            assert accounts.authenticate(db, stranger.key, SCOPE)
            with pytest.raises(Unauthorized):
                accounts.authenticate(db, client.key, SCOPE)

    def test_use_is_noted_once_a_minute(self, database: Database, client: Client) -> None:
        with database.write() as db:
            (key,) = queries.keys_of(db, client.account)
            assert accounts.is_use_recorded_long_ago(key)
            accounts.record_use(db, key)
            assert not accounts.is_use_recorded_long_ago(key)
            key.last_used_at = now() - timedelta(seconds=61)
            assert accounts.is_use_recorded_long_ago(key)

    @pytest.mark.parametrize("raw", ["", "dxgl_sk_", "dxgl_sk_a", "secret", "dxgl_sk_" + "ü" * 38, "\0", "\ud800"])
    def test_that_is_none_is_refused(self, database: Database, raw: str) -> None:
        with database.read() as db, pytest.raises(Unauthorized):
            accounts.authenticate(db, raw, SCOPE)

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
