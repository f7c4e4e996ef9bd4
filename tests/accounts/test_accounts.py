"""Accounts and their API keys."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session

from farm.accounts import accounts, erasure
from farm.db import clock
from farm.db.accounts import keys_of
from farm.db.session import Database
from farm.db.tables import Account, Key, now
from farm.errors import Forbidden, InsufficientScope, InvalidRequest, TokenExpired, Unauthorized
from farm.ids import ALPHABET
from tests.support.clients import Client, expired_key

pytestmark = pytest.mark.on_both_databases


SCOPE = "renders:read"


class TestKey:
    def test_authenticates_its_own_account(self, database: Database, client: Client, stranger: Client) -> None:
        with database.read() as db:
            assert accounts.authenticate(db, client.key, SCOPE).account_id == client.account.id
            assert accounts.authenticate(db, stranger.key, SCOPE).account_id == stranger.account.id

    def test_has_the_documented_format(self, client: Client) -> None:
        assert client.key.startswith("dxgl_sk_")
        body = client.key.removeprefix("dxgl_sk_")
        assert len(body) == 32 + 6
        assert set(body) <= set(ALPHABET)

    def test_is_not_stored_in_the_database(self, database: Database, client: Client) -> None:
        secret = client.key.removeprefix("dxgl_sk_")[: accounts.RANDOM_LENGTH]
        with database.read() as db:
            rows = [list(vars(key).values()) for key in db.scalars(select(Key))]
        assert rows
        assert secret not in str(rows)

    def test_stays_valid_when_another_key_is_revoked(self, database: Database, client: Client) -> None:
        with database.write() as db:
            second = accounts.create_key(db, client.account)
        with database.write() as db:
            accounts.revoke_key(db, client.key)
        with database.read() as db:
            assert accounts.authenticate(db, second, SCOPE).account_id == client.account.id
            with pytest.raises(Unauthorized):
                accounts.authenticate(db, client.key, SCOPE)

    def test_is_refused_for_a_suspended_account(self, database: Database, client: Client) -> None:
        with database.write() as db:
            db.merge(client.account).suspended_at = now()
        with database.read() as db, pytest.raises(Forbidden):
            accounts.authenticate(db, client.key, SCOPE)

    def test_is_refused_once_it_has_expired(self, database: Database, client: Client) -> None:
        with database.write() as db:
            valid = accounts.create_key(db, client.account, expires_at=now() + timedelta(hours=1))
            expired = expired_key(db, client.account)
        with database.read() as db:
            assert accounts.authenticate(db, valid, SCOPE)
            with pytest.raises(TokenExpired):
                accounts.authenticate(db, expired, SCOPE)

    @pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=-3650)])
    def test_is_not_created_expired(self, database: Database, client: Client, ahead: timedelta) -> None:
        with database.write() as db, pytest.raises(InvalidRequest, match="must expire in the future"):
            accounts.create_key(db, client.account, expires_at=clock.now(db) + ahead)
        with database.read() as db:
            assert len(keys_of(db, client.account)) == 1

    def test_hides_the_expiry_of_a_revoked_key(self, database: Database, client: Client) -> None:
        with database.write() as db:
            raw = expired_key(db, client.account)
            accounts.revoke_key(db, raw)
        with database.read() as db, pytest.raises(Unauthorized) as refusal:
            accounts.authenticate(db, raw, SCOPE)
        assert refusal.value.code == "unauthorized"

    @pytest.mark.parametrize("scope", accounts.SCOPES)
    def test_is_valid_only_for_its_scopes(self, database: Database, client: Client, scope: str) -> None:
        with database.write() as db:
            db.get_one(Account, client.account.id).is_admin = True
            raw = accounts.create_key(db, client.account, scopes=[scope])
        with database.read() as db:
            assert accounts.authenticate(db, raw, scope)
            for other in accounts.SCOPES.keys() - {scope}:
                with pytest.raises(InsufficientScope, match=other):
                    accounts.authenticate(db, raw, other)

    @pytest.mark.parametrize("scope", accounts.SCOPES)
    def test_is_valid_for_every_scope_if_it_names_none(self, database: Database, client: Client, scope: str) -> None:
        with database.write() as db:
            db.get_one(Account, client.account.id).is_admin = True
        with database.read() as db:
            assert accounts.authenticate(db, client.key, scope)

    @pytest.mark.parametrize("scope", ["admin:read", "admin:write"])
    def test_opens_nothing_of_other_accounts_unless_its_account_is_an_admin(
        self, database: Database, client: Client, scope: str
    ) -> None:
        with database.write() as db:
            narrow = accounts.create_key(db, client.account, scopes=[scope])
        for raw in (client.key, narrow):
            with database.read() as db, pytest.raises(Forbidden, match="Only admin accounts"):
                accounts.authenticate(db, raw, scope)

    def test_can_be_revoked_by_its_id(self, database: Database, client: Client, stranger: Client) -> None:
        with database.write() as db:
            (key,) = keys_of(db, client.account)
            accounts.revoke_key(db, key.id)
        with database.read() as db:
            assert accounts.authenticate(db, stranger.key, SCOPE)
            with pytest.raises(Unauthorized):
                accounts.authenticate(db, client.key, SCOPE)

    def test_records_its_use_once_a_minute(self, database: Database, client: Client) -> None:
        with database.write() as db:
            (key,) = keys_of(db, client.account)
            assert accounts.is_use_recorded_long_ago(db, key)
            accounts.record_use(db, key)
            assert not accounts.is_use_recorded_long_ago(db, key)
            key.last_used_at = now() - timedelta(seconds=61)
            assert accounts.is_use_recorded_long_ago(db, key)

    def test_records_no_use_after_the_erasure_of_its_account(self, database: Database, client: Client) -> None:
        with database.write() as db:
            (key,) = keys_of(db, client.account)
            erasure.erase(db, client.account.id, ())
        with database.write() as db:
            accounts.record_use(db, key)
            assert keys_of(db, client.account) == []

    @pytest.mark.parametrize("raw", ["", "dxgl_sk_", "dxgl_sk_a", "secret", "dxgl_sk_" + "ü" * 38, "\0", "\ud800"])
    def test_is_refused_if_it_is_malformed(self, database: Database, raw: str) -> None:
        with database.read() as db, pytest.raises(Unauthorized):
            accounts.authenticate(db, raw, SCOPE)

    @given(st.data())
    def test_detects_a_typing_error_without_a_query(self, data: st.DataObject) -> None:
        body = data.draw(st.text(ALPHABET, min_size=32, max_size=32))
        key = body + accounts._check(body)
        position = data.draw(st.integers(0, len(key) - 1))
        wrong = data.draw(st.sampled_from(ALPHABET).filter(lambda letter: letter != key[position]))
        without_database = Session()
        with pytest.raises(UnboundExecutionError):
            accounts.authenticate(without_database, accounts.PREFIX + key, SCOPE)
        with pytest.raises(Unauthorized):
            accounts.authenticate(
                without_database, accounts.PREFIX + key[:position] + wrong + key[position + 1 :], SCOPE
            )


class TestCreate:
    def test_refuses_a_second_account_for_an_address(self, database: Database, client: Client) -> None:
        with database.write() as db, pytest.raises(ValueError, match="already"):
            accounts.create(db, client.account.email)
