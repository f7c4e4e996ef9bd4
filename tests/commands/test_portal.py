"""What operators do for the portal: passwords and invitations, on the command line."""

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from farm.cli import app
from farm.db.session import Database
from farm.settings import Settings
from tests.support.clients import Client
from tests.support.portal import Browser, set_password


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("FARM_DATA", str(settings.data))
    return settings.model_copy(update={"sign_up": "invite"})


def printed(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout.strip()


def test_password_replaces_a_forgotten_one(public_api: TestClient, client: Client, database: Database) -> None:
    set_password(database, client.account)
    browser = Browser(public_api.app).logged_in(client.account.email)
    password = printed("accounts", "password", client.account.email)
    assert browser.get("/portal/account").status_code == 303, "its session has ended"
    assert browser.log_in(client.account.email).status_code == 401
    assert browser.log_in(client.account.email, password).status_code == 303
    audit = printed("audit", "--json")
    assert "accounts password" in audit
    assert password not in audit


def test_password_needs_an_account(database: Database) -> None:
    assert database
    result = CliRunner().invoke(app, ["accounts", "password", "unknown@example.com"])
    assert result.exit_code == 1
    assert "There is no account for unknown@example.com" in result.stderr


def test_invite_prints_a_page_that_works(public_api: TestClient) -> None:
    path = printed("accounts", "invite", "--credits", "7")
    guest = Browser(public_api.app)
    fields = {"email": "new@example.com", "password": "x" * 20, "invitation": path.partition("=")[2]}
    assert guest.post("/portal/sign-up", fields, page=path).status_code == 303
    assert "<strong>7</strong> credits" in guest.get("/portal/account").text
