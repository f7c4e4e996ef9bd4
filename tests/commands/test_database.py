"""`farm db upgrade`, and what commands say about a database that they cannot reach."""

import shutil
from pathlib import Path

import pytest

from tests.support.commands import done, refused
from tests.support.processes import free_port

pytestmark = pytest.mark.usefixtures("small_farm")


class TestDatabase:
    def test_prints_its_version_on_each_upgrade(self) -> None:
        first = done("db", "upgrade")
        assert first.startswith("Database at version ")
        assert "None" not in first
        assert done("db", "upgrade") == first

    def test_is_created_in_the_given_folder(self, tmp_path: Path) -> None:
        shutil.rmtree(tmp_path / "data")
        done("db", "upgrade", "--data", tmp_path / "elsewhere")
        assert (tmp_path / "elsewhere" / "plinth.db").is_file()
        assert not (tmp_path / "data").exists()

    @pytest.mark.parametrize("command", [("accounts", "list"), ("db", "upgrade"), ("queue",)])
    def test_names_the_next_step_when_it_does_not_respond(
        self, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FARM_DATABASE_URL", f"postgresql://plinth:hush@127.0.0.1:{free_port()}/plinth")
        line = refused(*command)
        assert "Connection refused" in line
        assert line.endswith("`farm doctor` says how to correct it")
        assert "hush" not in line

    def test_reports_an_impossible_path_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for command in (["accounts", "list"], ["db", "upgrade"]):
            assert f"{tmp_path}/file" in refused(*command, "--data", tmp_path / "file" / "data")
