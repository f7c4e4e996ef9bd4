"""The pages of accounts: credits, keys, quotas, ledger, and what `farm accounts` and `farm keys` do to them."""

import pytest

from farm.accounts import accounts
from farm.db import accounts as account_rows
from farm.db.session import Database
from farm.db.tables import Account, Key, Model
from farm.storage import Storage
from tests.support.clients import Client
from tests.support.operator import audited, shown
from tests.support.portal import Browser


@pytest.fixture
def path(client: Client) -> str:
    """The page of the account of `client`."""
    return f"/operator/accounts/{client.account.id}"


@pytest.mark.on_both_databases
class TestPages:
    def test_list_all_accounts_or_some(self, operator: Browser, client: Client, stranger: Client) -> None:
        assert client.account.email in shown(operator, "/operator/accounts")
        found = shown(operator, "/operator/accounts?q=ADA")
        assert client.account.email in found
        assert stranger.account.email not in found
        assert client.account.email in shown(operator, f"/operator/accounts?q={client.account.id}")

    @pytest.mark.usefixtures("model")
    def test_show_credits_keys_quotas_and_ledger(self, operator: Browser, path: str) -> None:
        text = shown(operator, path)
        for words in ("1 000 000 left", "Models 1 of 10 000", "Granted", "+1000000", "Without a name"):
            assert words in text


@pytest.mark.on_both_databases
class TestChanges:
    def test_suspend_and_resume(
        self, operator: Browser, browser: Browser, admin: Account, client: Client, path: str, database: Database
    ) -> None:
        assert operator.post(f"{path}/suspend").status_code == 303
        assert browser.get("/portal/account").status_code == 403, "its sessions are refused at once"
        assert "Suspended since" in shown(operator, path)
        assert operator.post(f"{path}/resume").status_code == 303
        assert browser.get("/portal/account").status_code == 200
        own = client.account.id
        assert audited(database) == [(admin.id, "accounts resume", own), (admin.id, "accounts suspend", own)]

    def test_grant_credits_and_take_them_back(
        self, operator: Browser, admin: Account, client: Client, path: str, database: Database
    ) -> None:
        assert operator.post(f"{path}/grant", {"credits": "25"}).status_code == 303
        assert operator.post(f"{path}/take", {"credits": "5"}).status_code == 303
        with database.read() as db:
            assert account_rows.balance(db, client.account.id) == 1_000_020
        assert [action for _, action, _ in audited(database)] == ["accounts take", "accounts grant"]
        assert {actor for actor, _, _ in audited(database)} == {admin.id}

    def test_refuse_what_is_no_number_of_credits(
        self, operator: Browser, client: Client, path: str, database: Database
    ) -> None:
        for text in ("", "0", "-1", "1.5", "x", "1000000001", "99999999999999999999", "²"):
            response = operator.post(f"{path}/grant", {"credits": text})
            assert response.status_code == 422, text
            assert "whole number of credits" in response.text
        assert operator.post(f"{path}/take", {"credits": "1000001"}).status_code == 402
        with database.read() as db:
            assert account_rows.balance(db, client.account.id) == 1_000_000
        assert audited(database) == []

    def test_revoke_only_a_key_of_the_account(
        self, operator: Browser, admin: Account, client: Client, stranger: Client, path: str, database: Database
    ) -> None:
        with database.read() as db:
            [own], [other] = (account_rows.keys_of(db, each.account) for each in (client, stranger))
        assert operator.post(f"{path}/keys/{other.id}/revoke").status_code == 401
        assert operator.post(f"{path}/keys/{own.id}/revoke").status_code == 303
        with database.read() as db:
            assert db.get_one(Key, own.id).revoked_at
            assert not db.get_one(Key, other.id).revoked_at
        assert audited(database) == [(admin.id, "keys revoke", own.id)]
        assert "Revoked" in shown(operator, path)

    def test_erase_needs_the_address(
        self, operator: Browser, client: Client, path: str, model: Model, storage: Storage, database: Database
    ) -> None:
        for email in ("", "eve@example.com", client.account.id):
            response = operator.post(f"{path}/erase", {"email": email})
            assert response.status_code == 422
            assert client.account.email in response.text
        with database.read() as db:
            assert db.get(Account, client.account.id)
        assert operator.post(f"{path}/erase", {"email": client.account.email}).headers["location"].endswith("/accounts")
        with database.read() as db:
            assert db.get(Account, client.account.id) is None
            assert db.get(Model, model.id) is None
        assert list(storage.keys("models/")) == []
        assert [entry[1:] for entry in audited(database)] == [("accounts delete", client.account.id)]

    def test_spare_the_own_account(self, operator: Browser, admin: Account, database: Database) -> None:
        for action in ("suspend", "erase"):
            response = operator.post(f"/operator/accounts/{admin.id}/{action}", {"email": admin.email})
            assert response.status_code == 409
            assert "your own account" in response.text
        with database.read() as db:
            assert db.get_one(Account, admin.id).suspended_at is None


def test_a_page_of_keys_shows_scopes_as_text(operator: Browser, path: str, client: Client, database: Database) -> None:
    with database.write() as db:
        accounts.create_key(db, db.get_one(Account, client.account.id), name="<b>bold</b>")
    assert "&lt;b&gt;bold" in operator.get(path).text
