"""Every command on a database of another version says in one line what to run, and migrates nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer
from fastapi.testclient import TestClient
from sqlalchemy import inspect
from typer.testing import CliRunner

from api.app import create_app
from farm.cli import app
from farm.db.session import Database
from farm.scheduling import reaper
from farm.settings import Settings
from tests.scheduling.test_reaper import reaping_with
from tests.support.api import assert_error
from tests.support.clients import Client
from tests.support.polling import until
from tests.support.versions import FIXES, make_wrong

pytestmark = pytest.mark.on_both_databases

# Arguments of the commands that need some.
ARGUMENTS = {
    "EMAIL": "ada@example.com",
    "CREDITS": "5",
    "RENDER": "abcdefghijkl",
    "NAME": "box",
    "KEY": "abcdefghijkl",
    "SHA256": "0" * 64,
}
# Options without which a command refuses to run.
OPTIONS = {"nodes drain": ["--all"]}
# `up` and `db upgrade` migrate. `serve`, `reaper` and `worker` run on. `doctor` reports it among other things.
OTHERS = {"up", "db upgrade", "serve", "reaper", "worker", "doctor"}


def commands_with_a_database() -> Iterator[str]:
    def found(command: Any, name: str) -> Iterator[str]:
        if hasattr(command, "commands"):
            for word, child in command.commands.items():
                yield from found(child, f"{name} {word}".strip())
        elif name not in OTHERS and "--data" in [option for parameter in command.params for option in parameter.opts]:
            words = [p for p in command.params if p.param_type_name == "argument" and p.required]
            values = [ARGUMENTS[(p.metavar or (p.name or "").upper()).removesuffix("...")] for p in words]
            yield " ".join([name, *values, *OPTIONS.get(name, [])])

    yield from found(typer.main.get_command(app), "")


@pytest.fixture(autouse=True)
def farm_of_this_test(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_DATA", str(settings.data))
    monkeypatch.setenv("FARM_DATABASE_URL", database.url)
    monkeypatch.setenv("FARM_REDIS_URL", settings.redis_url)


@pytest.fixture(params=list(FIXES))
def wrong(request: pytest.FixtureRequest, database: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    make_wrong(database, request.param, monkeypatch)
    return str(request.param)


class TestCommands:
    def test_say_in_one_line_what_to_run(self, wrong: str, database: Database) -> None:
        before = database.version(), inspect(database.engine).get_table_names()
        commands = [*commands_with_a_database(), "doctor --storage"]
        assert len(commands) > 20
        for command in commands:
            result = CliRunner().invoke(app, command.split())
            assert result.exit_code == 1, command
            assert isinstance(result.exception, SystemExit), command
            [line] = result.stderr.strip().splitlines()
            assert FIXES[wrong] in line, command
        assert (database.version(), inspect(database.engine).get_table_names()) == before

    def test_ask_for_the_data_folder_where_there_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """And create nothing in it, nor the folder itself, whose name may be mistyped."""
        monkeypatch.delenv("FARM_DATABASE_URL")
        (tmp_path / "empty").mkdir()
        for folder in ("mistyped", "empty"):
            for command in commands_with_a_database():
                result = CliRunner().invoke(app, [*command.split(), "--data", str(tmp_path / folder)])
                assert result.exit_code == 1, command
                [line] = result.stderr.strip().splitlines()
                assert line.startswith(f"{tmp_path / folder} holds no farm: "), command
                assert "name another with --data or FARM_DATA, or run `farm db upgrade`" in line, command
        assert not (tmp_path / "mistyped").exists()
        assert not list((tmp_path / "empty").iterdir())

    @pytest.mark.parametrize("command", ["worker", "doctor --storage"])
    def test_create_no_database(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
        monkeypatch.delenv("FARM_DATABASE_URL")
        result = CliRunner().invoke(app, [*command.split(), "--data", str(tmp_path / "mistyped")])
        assert result.exit_code not in (0, None)
        assert "run `farm db upgrade`" in result.stderr
        assert not (tmp_path / "mistyped").exists()

    def test_upgrade_creates_the_tables(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        make_wrong(database, "empty", monkeypatch)
        assert CliRunner().invoke(app, ["db", "upgrade"]).exit_code == 0
        assert CliRunner().invoke(app, ["nodes", "list"]).exit_code == 0

    def test_upgrade_refuses_newer_tables(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        make_wrong(database, "newer", monkeypatch)
        result = CliRunner().invoke(app, ["db", "upgrade"])
        assert result.exit_code == 1
        assert FIXES["newer"] in result.stderr
        assert "Traceback" not in result.output


class TestServe:
    def test_creates_no_database(self, settings: Settings, tmp_path: Path) -> None:
        elsewhere = settings.model_copy(update={"data": tmp_path / "mistyped", "database_url": None})
        with TestClient(create_app(elsewhere)) as api:
            assert_error(api.get("/v1/health"), "unavailable", 503, FIXES["empty"])
        assert not list(elsewhere.data.iterdir())

    def test_responds_with_503_and_health_with_the_reason(self, client: Client, settings: Settings, wrong: str) -> None:
        with TestClient(create_app(settings)) as api:
            assert_error(api.get("/v1/health"), "unavailable", 503, FIXES[wrong])
            for path in ("/v1/models", "/v1/account", "/metrics"):
                assert_error(api.get(path, headers=client.headers), "unavailable", 503, "try again shortly")
            assert_error(
                api.post("/v1/quote", json={}, headers=client.headers), "unavailable", 503, "try again shortly"
            )

    def test_responds_with_503_to_requests_under_way(
        self, api: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert api.get("/v1/account").status_code == 200
        make_wrong(database, "empty", monkeypatch)  # within the time for which the version counts as right
        assert_error(api.get("/v1/account"), "unavailable", 503, "try again shortly")


def count_checks(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A list that grows by one with each check of the version from now on."""
    checks: list[None] = []
    check = Database.check_version

    def counted(database: Database) -> None:
        checks.append(None)
        check(database)

    monkeypatch.setattr(Database, "check_version", counted)
    return checks


class TestReaper:
    def test_says_what_to_run_and_waits(
        self, settings: Settings, database: Database, wrong: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reaper, "reap", lambda *_: pytest.fail("it must not touch these tables"))
        with (
            structlog.testing.capture_logs() as lines,
            reaping_with(settings.model_copy(update={"lease_seconds": 0.6})),
        ):
            until(lambda: "database_version_wrong" in {line["event"] for line in lines})
            checks = count_checks(monkeypatch)
            until(lambda: len(checks) > 2)
        wrong_lines = [line for line in lines if line["event"] != "reaper_ready"]
        assert len(wrong_lines) <= 2, "one by reaping, one by cleaning up"
        assert {line["event"] for line in wrong_lines} == {"database_version_wrong"}
        assert FIXES[wrong] in wrong_lines[0]["error"]
        assert database.url
