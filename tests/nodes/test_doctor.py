"""`farm doctor` sees what is wrong and says how to mend it, without a traceback."""

import json
import os
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.nodes import doctor, engine
from farm.nodes.doctor import Check
from farm.settings import Settings

NAMES = ["python", "blender", "engine", "ffmpeg", "redis", "database", "storage", "scratch"]
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine without a GPU whose farm has not started yet."""
    for name in [name for name in os.environ if name.startswith("FARM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(engine, "device_files", lambda: [])
    return Settings(data=tmp_path / "data")


def only(check: Callable[[Settings], Check], settings: Settings) -> Check:
    """One check's answer, as `examine` gives it."""
    return doctor._without_traceback(check, settings)


def assert_bad(check: Check, *fix: str) -> None:
    assert not check.ok
    assert "Traceback" not in check.found
    assert "\n" not in check.found
    for words in fix:
        assert words in (check.fix or "")


class TestWell:
    @pytest.mark.slow
    def test_all_is_well_here_and_the_json_parses(
        self, well: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("FARM_DATA", str(well.data))
        monkeypatch.setenv("FARM_SCRATCH", str(tmp_path))
        answer = CliRunner().invoke(app, ["doctor", "--json"])
        checks = json.loads(answer.stdout)
        assert [check["name"] for check in checks] == NAMES
        assert [check["name"] for check in checks if not check["ok"]] == []
        assert answer.exit_code == 0
        by_name = {check["name"]: check for check in checks}
        assert by_name["blender"]["found"].startswith("bpy 4.5")
        assert "cycles" in by_name["engine"]["found"]
        assert not [path for path in tmp_path.iterdir() if path.name.startswith("plinth-")]
        assert not list((well.files / "doctor").glob("*"))


class TestTrouble:
    def test_of_an_ffmpeg_that_is_not_there(self, well: Settings, tmp_path: Path) -> None:
        bad = well.model_copy(update={"ffmpeg": tmp_path / "none"})
        assert_bad(only(doctor.ffmpeg, bad), "FARM_FFMPEG")

    def test_of_an_ffmpeg_that_is_something_else(self, well: Settings) -> None:
        assert_bad(only(doctor.ffmpeg, well.model_copy(update={"ffmpeg": Path("/bin/false")})), "FARM_FFMPEG")
        assert_bad(only(doctor.ffmpeg, well.model_copy(update={"ffmpeg": Path("/bin/true")})), "FARM_FFMPEG")

    def test_of_a_data_folder_that_cannot_be(self, well: Settings, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        bad = well.model_copy(update={"data": tmp_path / "file" / "data"})
        assert_bad(only(doctor.database, bad), "FARM_DATA")
        assert_bad(only(doctor.storage, bad), "FARM_DATA")

    def test_of_a_database_server_that_does_not_answer(self, well: Settings) -> None:
        bad = well.model_copy(update={"database_url": "sqlite:////proc/none/plinth.db"})
        assert_bad(only(doctor.database, bad), "FARM_DATABASE_URL")

    def test_of_a_scratch_folder_that_is_not_there(self, well: Settings, tmp_path: Path) -> None:
        bad = well.model_copy(update={"scratch": tmp_path / "none"})
        assert_bad(only(doctor.scratch, bad), "FARM_SCRATCH")
        assert only(doctor.gpu, bad).ok, "the trouble is told once, where it is"

    def test_of_a_scratch_folder_that_is_too_small(self, well: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(2**26, 2**25, 2**25))
        assert_bad(only(doctor.scratch, well), "--shm-size", "FARM_SCRATCH")

    def test_of_eevee_forced_where_no_gpu_is(self, well: Settings) -> None:
        assert_bad(only(doctor.gpu, well.model_copy(update={"engine": "eevee"})), "FARM_ENGINE=auto")

    def test_of_a_blender_that_does_not_start(self, well: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("farm.blender.client.sys.executable", "/bin/false")
        assert_bad(only(doctor.blender, well), "make setup")

    def test_ends_the_command_with_1_and_tells_the_fix(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor, "examine", lambda _: [Check("scratch", False, "full", "Empty it.")])
        answer = CliRunner().invoke(app, ["doctor"])
        assert answer.exit_code == 1
        assert "Empty it." in answer.stdout
        assert "Traceback" not in answer.output


class TestDatabase:
    def test_that_is_empty_is_well_and_says_what_migrates_it(self, well: Settings) -> None:
        check = only(doctor.database, well)
        assert check.ok
        assert "upgrade" in (check.fix or "")
