"""`farm audit`: every change that an operator makes leaves an entry, in the transaction of the change."""

import json
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from farm.cli import app
from farm.db.session import Database
from farm.db.tables import Account, Render, now
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.scheduling import render_status
from farm.settings import Settings
from tests.intake.scans import picture
from tests.support.clients import Client


@pytest.fixture(autouse=True)
def farm_of_this_test(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_DATA", str(settings.data))
    monkeypatch.setenv("FARM_DATABASE_URL", database.url)
    monkeypatch.setenv("FARM_REDIS_URL", settings.redis_url)


def farm(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def audited(*words: str) -> list[tuple[str, str]]:
    """What was done, and to what, the oldest first."""
    entries = json.loads(farm("audit", *words, "--json"))
    return [(entry["what"], entry["on"]) for entry in reversed(entries)]


@pytest.mark.on_both_databases
class TestEntries:
    def test_tell_every_change_of_an_account_and_its_keys(self) -> None:
        account = json.loads(farm("accounts", "create", "new@example.com", "--json"))["id"]
        key = farm("keys", "create", "new@example.com", "--scopes", "renders:read").strip()
        key_id = json.loads(farm("keys", "list", "new@example.com", "--json"))[0]["id"]
        for words in (["suspend"], ["resume"]):
            farm("accounts", *words, "new@example.com")
        farm("accounts", "grant", "new@example.com", "5")
        farm("keys", "revoke", key)
        farm("accounts", "delete", "new@example.com", "--dry-run")
        farm("accounts", "delete", "new@example.com")
        assert audited() == [
            ("accounts create", account),
            ("keys create", key_id),
            ("accounts suspend", account),
            ("accounts resume", account),
            ("accounts grant", account),
            ("keys revoke", key_id),
            ("accounts delete", account),
        ]
        text = farm("audit", "--json")
        assert key not in text
        assert "new@example.com" not in text, "an erased account leaves no address"
        assert audited("--account", account) == audited(), "found by the id that is left"

    def test_tell_changes_of_nodes_and_renders(self, database: Database, gpu: Facts, render: Render) -> None:
        registry.join(database, replace(gpu, name="box"))
        for command in ("drain", "resume"):
            farm("nodes", command, "box")
        farm("renders", "cancel", render.id)
        farm("renders", "retry", render.id)
        assert audited() == [
            ("nodes drain", "box"),
            ("nodes resume", "box"),
            ("renders cancel", render.id),
            ("renders retry", render.id),
        ]
        assert audited("--account", "ada@example.com") == audited()[2:]

    def test_name_the_user_and_the_time(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUDO_USER", "grace")
        farm("accounts", "grant", client.account.email, "5")
        [entry] = json.loads(farm("audit", "--json"))
        assert entry["who"].startswith("grace as ")
        assert "@" in entry["who"]
        assert entry["time"].endswith("+00:00")
        assert (entry["account"], entry["email"]) == (client.account.id, "ada@example.com")
        assert entry["details"] == {"credits": 5}

    def test_name_the_admin_account_that_publishes(self, api: TestClient, client: Client, database: Database) -> None:
        with database.write() as db:
            db.get_one(Account, client.account.id).is_admin = True
        overlay = api.post("/v1/overlays", files={"file": ("a.png", picture())}).json()["data"]["id"]
        for change in ("publish", "unpublish"):
            assert api.patch(f"/v1/overlays/{overlay}/{change}").status_code == 200
        assert audited() == [("overlays publish", overlay), ("overlays unpublish", overlay)]
        assert "ada@example.com" in farm("audit")


class TestUnknownAccount:
    def test_is_an_error(self) -> None:
        result = CliRunner().invoke(app, ["audit", "--account", "none@example.com"])
        assert (result.exit_code, result.stdout) == (1, "")
        assert "no account for none@example.com" in result.stderr


class TestFailedChange:
    def test_leaves_no_entry(self, database: Database, render: Render) -> None:
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, render.id), "error", message=f"at {now()}")
        for words in (["renders", "cancel", render.id], ["nodes", "drain", "none"], ["keys", "revoke", "none"]):
            assert CliRunner().invoke(app, words).exit_code == 1
        assert audited() == []


def test_limits_the_number_of_entries() -> None:
    for number in range(3):
        farm("accounts", "create", f"{number}@example.com")
    assert len(audited("--limit", "2")) == 2
    assert "2@example.com" in farm("audit", "--limit", "1")
