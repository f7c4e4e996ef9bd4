"""The commands `farm models ...`."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from farm.cli import app
from farm.db.session import Database
from farm.db.tables import SuspectModel, now
from farm.settings import Settings
from tests.api.test_refused_models import HARMFUL, HARMFUL_SHA256, refuse
from tests.support.api import assert_error, upload, uploaded

pytestmark = pytest.mark.on_both_databases


@pytest.fixture(autouse=True)
def farm_of_this_test(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_DATA", str(settings.data))
    monkeypatch.setenv("FARM_DATABASE_URL", database.url)


def farm(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def listed() -> list[dict[str, Any]]:
    return list(json.loads(farm("models", "refused", "--json").stdout))


class TestRefused:
    def test_lists_the_refused_files(self, database: Database) -> None:
        refuse(database)
        with database.write() as db:
            db.add(SuspectModel(sha256="1" * 64, hosts=1, reason="once", failed_at=now()))
        [row] = listed()
        assert (row["sha256"], row["reason"], row["account"]) == (HARMFUL_SHA256, "why", None)
        assert row["when"].endswith("+00:00")
        shown = farm("models", "refused").stdout
        assert HARMFUL_SHA256[:12] in shown
        assert "why" in shown
        assert "once" not in shown, "only suspected"


class TestAllow:
    @pytest.mark.parametrize("length", [12, 64])
    def test_lifts_the_verdict_and_is_audited(self, api: TestClient, database: Database, length: int) -> None:
        refuse(database)
        assert_error(upload(api, HARMFUL), "invalid_format", 400)
        result = farm("models", "allow", HARMFUL_SHA256[:length].upper())
        assert result.exit_code == 0, (result.output, result.exception)
        assert listed() == []
        uploaded(api, HARMFUL)
        [entry] = json.loads(farm("audit", "--json").stdout)
        assert (entry["what"], entry["on"]) == ("models allow", HARMFUL_SHA256)

    @pytest.mark.parametrize(
        ("sha256", "message"),
        [("0" * 64, "No refused file"), ("%" * 12, "No refused file"), (HARMFUL_SHA256[:11], "at least 12 digits")],
    )
    def test_changes_nothing_for_another_file(self, database: Database, sha256: str, message: str) -> None:
        refuse(database)
        result = farm("models", "allow", sha256)
        assert result.exit_code == 1
        assert message in result.stderr
        assert len(listed()) == 1

    def test_needs_the_whole_hash_if_two_begin_the_same(self, database: Database) -> None:
        refuse(database)
        twin = HARMFUL_SHA256[:12] + "0" * 52
        with database.write() as db:
            db.add(SuspectModel(sha256=twin, hosts=2, reason="twin", failed_at=now(), is_refused=True))
        assert "whole SHA-256" in farm("models", "allow", HARMFUL_SHA256[:12]).stderr
        assert farm("models", "allow", twin).exit_code == 0
        assert [row["sha256"] for row in listed()] == [HARMFUL_SHA256]
