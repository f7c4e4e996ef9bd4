"""`farm doctor` reports problems and their fixes, without a traceback."""

import contextlib
import json
import os
import re
import subprocess
from collections import namedtuple
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.commands import doctor
from farm.commands.doctor import Check
from farm.db.session import Database
from farm.db.tables import now
from farm.nodes import facts
from farm.processes import sandbox
from farm.rendering import engine
from farm.rendering.engine import Devices, Gpu
from farm.rendering.verdict import Candidate, Verdict
from farm.rendering.verdict_file import VerdictFile
from farm.settings import Settings
from tests.support.s3 import Door
from tests.support.versions import migrate

NAMES = [
    "python",
    "sandbox",
    "blender",
    "engine",
    "ffmpeg",
    "redis",
    "data",
    "database",
    "clocks",
    "storage",
    "scratch",
    "paths",
]
Usage = namedtuple("Usage", "total used free")
SOFTWARE = Devices(Gpu("llvmpipe (LLVM 15)", "Mesa", software=True))
CARD = Devices(Gpu("NVIDIA RTX", "NVIDIA", software=False), {"cycles-optix": "NVIDIA RTX"})
FAST = {"share": 0.1}
OPTIX = Candidate("cycles-optix", FAST, {"share": 35.0})


@pytest.fixture
def healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine without a GPU whose farm has not started yet."""
    for name in [name for name in os.environ if name.startswith("FARM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(engine, "device_files", lambda: [])
    return Settings(data=tmp_path / "data")


def only(check: Callable[[Settings], Check], settings: Settings) -> Check:
    """The result of one check, as in `examine`."""
    return doctor._run_check(check, settings)


def assert_bad(check: Check, *fix: str) -> None:
    assert not check.ok
    assert "Traceback" not in check.found
    assert "\n" not in check.found
    for words in fix:
        assert words in (check.fix or "")


def follow(check: Check) -> None:
    """Run the command in the fix of a check."""
    assert check.fix
    subprocess.run(check.fix.strip("`"), shell=True, check=True)


class TestReport:
    @pytest.mark.slow
    def test_prints_json_without_problems_here(
        self, healthy: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("FARM_DATA", str(healthy.data))
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
        assert not list((healthy.files / "doctor").glob("*"))


class TestProblems:
    def test_reports_a_sandbox_that_is_too_weak(self, healthy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sandbox, "strongest", sandbox.Limits)
        assert only(doctor.sandbox, healthy).ok
        assert "Landlock" in (only(doctor.sandbox, healthy).fix or "")
        assert only(doctor.sandbox, healthy.model_copy(update={"sandbox": "limits"})).found.startswith("limits (")
        demanding = healthy.model_copy(update={"sandbox_required": "isolation"})
        assert_bad(only(doctor.sandbox, demanding), "Landlock")

    def test_reports_a_missing_ffmpeg(self, healthy: Settings, tmp_path: Path) -> None:
        bad = healthy.model_copy(update={"ffmpeg": tmp_path / "none"})
        assert_bad(only(doctor.ffmpeg, bad), "FARM_FFMPEG")

    def test_reports_an_ffmpeg_that_is_another_program(self, healthy: Settings) -> None:
        assert_bad(only(doctor.ffmpeg, healthy.model_copy(update={"ffmpeg": Path("/bin/false")})), "FARM_FFMPEG")
        assert_bad(only(doctor.ffmpeg, healthy.model_copy(update={"ffmpeg": Path("/bin/true")})), "FARM_FFMPEG")

    @pytest.mark.parametrize(("hours", "words"), [(1, r"3600\.\d s ahead of"), (-1, r"3(599|600)\.\d s behind")])
    def test_reports_a_clock_that_is_off(
        self, healthy: Settings, monkeypatch: pytest.MonkeyPatch, hours: int, words: str
    ) -> None:
        migrate(healthy.database)
        assert only(doctor.clocks, healthy).ok
        monkeypatch.setattr(doctor, "now", lambda: now() + timedelta(hours=hours))
        off = only(doctor.clocks, healthy)
        assert_bad(off, "NTP")
        assert re.match(words, off.found)

    @pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
    def test_reports_a_data_folder_that_others_may_read(self, healthy: Settings, mode: int) -> None:
        assert only(doctor.data, healthy).ok, "it does not exist yet"
        migrate(healthy.database)
        assert only(doctor.data, healthy).ok, "as the farm creates it"
        healthy.data.chmod(mode)
        check = only(doctor.data, healthy)
        assert_bad(check, f"chmod go= {healthy.data}")
        assert "plinth.db" not in check.found
        follow(check)
        assert only(doctor.data, healthy).ok

    @pytest.mark.parametrize("suffix", ["", "-wal"])
    def test_reports_a_database_that_others_may_read(self, healthy: Settings, tmp_path: Path, suffix: str) -> None:
        elsewhere = tmp_path / "plinth.sqlite"
        settings = healthy.model_copy(update={"database_url": f"sqlite:///{elsewhere}"})
        migrate(settings.database)
        exposed = Path(f"{elsewhere}{suffix}")
        exposed.touch()
        exposed.chmod(0o644)
        check = only(doctor.data, settings)
        assert_bad(check, str(exposed))
        assert str(healthy.data) not in check.found
        follow(check)
        assert only(doctor.data, settings).ok

    def test_creates_neither_the_folder_nor_the_database(self, healthy: Settings) -> None:
        for check in (doctor.data, doctor.database, doctor.clocks, doctor.storage):
            assert only(check, healthy).ok
        assert not healthy.data.exists()
        healthy.data.mkdir()
        for check in (doctor.database, doctor.clocks, doctor.storage):
            assert only(check, healthy).ok
        assert not list(healthy.data.iterdir())

    def test_looks_for_no_file_of_a_database_server(self, healthy: Settings) -> None:
        assert only(doctor.data, healthy.model_copy(update={"database_url": "postgresql://db/plinth"})).ok

    def test_reports_an_impossible_data_folder(self, healthy: Settings, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        bad = healthy.model_copy(update={"data": tmp_path / "file" / "data"})
        assert_bad(only(doctor.database, bad), "FARM_DATA")
        assert_bad(only(doctor.storage, bad), "FARM_DATA")

    def test_reports_an_unreachable_database(self, healthy: Settings) -> None:
        bad = healthy.model_copy(update={"database_url": "sqlite:////proc/none/plinth.db"})
        assert_bad(only(doctor.database, bad), "FARM_DATABASE_URL")

    def test_reports_a_missing_scratch_folder(self, healthy: Settings, tmp_path: Path) -> None:
        bad = healthy.model_copy(update={"scratch": tmp_path / "none"})
        assert_bad(only(doctor.scratch, bad), "FARM_SCRATCH")
        assert only(doctor.gpu, bad).ok, "the problem is reported only once"

    def test_reports_a_scratch_folder_that_is_too_small(
        self, healthy: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(2**26, 2**25, 2**25))
        assert_bad(only(doctor.scratch, healthy), "--shm-size", "FARM_SCRATCH")

    def test_accepts_a_scratch_folder_of_any_depth(self, healthy: Settings, tmp_path: Path) -> None:
        deep = tmp_path / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        assert only(doctor.scratch, healthy.model_copy(update={"scratch": deep})).ok

    def test_reports_eevee_without_a_gpu(self, healthy: Settings) -> None:
        assert_bad(only(doctor.gpu, healthy.model_copy(update={"engine": "eevee"})), "FARM_ENGINE=auto")

    def test_reports_a_blender_that_does_not_start(self, healthy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("farm.blender.host_process.sys.executable", "/bin/false")
        assert_bad(only(doctor.blender, healthy), "make setup")

    def test_reports_the_kept_verdict_about_the_engines(
        self, healthy: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "probe", lambda *_: CARD)
        before = only(doctor.gpu, healthy)
        assert before.ok
        assert ("not measured yet" in before.found, "--benchmark" in (before.fix or "")) == (True, True)
        verdict = Verdict("cycles-optix", (OPTIX, Candidate("eevee", reason="Blender crashed")), is_sound=True)
        VerdictFile(healthy, CARD.key).store(verdict)
        found = only(doctor.gpu, healthy).found
        for words in ("cycles-optix (NVIDIA RTX)", "cycles-optix: 0.10 s a share frame", "eevee: Blender crashed"):
            assert words in found
        forced = only(doctor.gpu, healthy.model_copy(update={"engine": "eevee"}))
        assert (forced.ok, forced.found) == (True, "eevee, as FARM_ENGINE says (NVIDIA RTX)")

    def test_exits_with_1_and_prints_the_fix(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor, "examine", lambda _: [Check("scratch", False, "full", "Empty it.")])
        answer = CliRunner().invoke(app, ["doctor"])
        assert answer.exit_code == 1
        assert "Empty it." in answer.stdout
        assert "Traceback" not in answer.output


class TestBenchmark:
    @pytest.fixture
    def measured(self, healthy: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
        """What was measured, on a machine with a GPU: a verdict that changes each time."""
        calls: list[object] = []
        compiled: list[object] = []

        def calibrate(*arguments: object) -> Verdict:
            assert compiled.pop() == CARD.engines, "their drivers have compiled what they need"
            calls.append(arguments)
            return Verdict("cycles-optix", (OPTIX, Candidate("eevee", reason="too noisy")), is_sound=len(calls) < 3)

        monkeypatch.setenv("FARM_DATA", str(healthy.data))
        monkeypatch.setenv("FARM_SCRATCH", str(tmp_path))
        monkeypatch.setattr(engine, "probe", lambda *_: CARD)
        monkeypatch.setattr(engine, "calibrate", calibrate)
        monkeypatch.setattr(engine, "compile_first", lambda *arguments: compiled.append(arguments[2]))
        return calls

    def test_measures_again_and_keeps_the_verdict(self, measured: list[object], healthy: Settings) -> None:
        for _ in range(2):
            answer = CliRunner().invoke(app, ["doctor", "--benchmark"])
            assert answer.exit_code == 0
            shown = " ".join(answer.stdout.split())
            for words in (
                "cycles-optix",
                "0.100",
                "35.0",
                "the fastest",
                "out: too noisy",
                "FARM_ENGINE=auto",
            ):
                assert words in shown
        assert len(measured) == 2
        assert engine.known(healthy, CARD)

    def test_prints_json_and_fails_without_a_fit_engine(self, measured: list[object], healthy: Settings) -> None:
        measured += [None, None]
        answer = CliRunner().invoke(app, ["doctor", "--benchmark", "--json"])
        assert answer.exit_code == 1
        printed = json.loads(answer.stdout)
        assert (printed["gpu"], printed["candidates"][1]["reason"]) == ("NVIDIA RTX", "too noisy")
        assert engine.known(healthy, CARD) is None


class TestS3:
    @pytest.fixture
    def with_s3(self, healthy: Settings, s3_door: Door, monkeypatch: pytest.MonkeyPatch) -> Settings:
        monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
        return Settings(data=healthy.data, **s3_door.settings)

    def test_passes_and_leaves_the_bucket_unchanged(self, with_s3: Settings, s3_door: Door) -> None:
        check = only(doctor.storage, with_s3)
        assert check.ok
        assert s3_door.bucket in check.found
        assert "Contents" not in s3_door.client().list_objects_v2(Bucket=s3_door.bucket)

    def test_reports_an_unreachable_service(self, with_s3: Settings, s3_door: Door) -> None:
        s3_door.shutdown()
        s3_door.server_close()
        check = only(doctor.storage, with_s3)
        assert_bad(check, "FARM_S3_ENDPOINT")
        assert "EndpointConnectionError" in check.found

    def test_reports_a_missing_bucket(self, with_s3: Settings) -> None:
        check = only(doctor.storage, with_s3.model_copy(update={"s3_bucket": "another"}))
        assert_bad(check, "FARM_S3_BUCKET")
        assert "NoSuchBucket" in check.found

    @pytest.mark.parametrize(
        ("denied", "permission"),
        [
            ("GET .*list-type=2", "s3:ListBucket"),
            ("PUT /", "s3:PutObject"),
            (r"GET .*/doctor/\w+$", "s3:GetObject"),
            ("DELETE /", "s3:DeleteObject"),
        ],
    )
    def test_names_a_missing_permission(self, with_s3: Settings, s3_door: Door, denied: str, permission: str) -> None:
        s3_door.denied = denied
        check = only(doctor.storage, with_s3)
        assert_bad(check, permission)
        assert "AccessDenied" in check.found


class TestDatabase:
    def test_passes_if_empty_and_names_the_migration(self, healthy: Settings) -> None:
        check = only(doctor.database, healthy)
        assert check.ok
        assert "upgrade" in (check.fix or "")


class TestSoftwareOpenGl:
    """A GPU that OpenGL cannot use."""

    @pytest.fixture
    def software_opengl(self, healthy: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
        monkeypatch.setattr(engine, "device_files", lambda: [Path("/dev/nvidia0")])
        monkeypatch.setattr(engine, "probe", lambda *_: SOFTWARE)
        return healthy

    def test_is_reported_with_the_fix(self, software_opengl: Settings) -> None:
        check = only(doctor.gpu, software_opengl)
        assert_bad(check, "driver", "NVIDIA_DRIVER_CAPABILITIES=all", "FARM_ENGINE=cycles")
        for words in ("cycles", "software OpenGL (llvmpipe", "/dev/nvidia0", "not a GPU node"):
            assert words in check.found

    def test_passes_if_cycles_is_configured(self, software_opengl: Settings) -> None:
        assert only(doctor.gpu, software_opengl.model_copy(update={"engine": "cycles"})).ok

    @pytest.mark.parametrize("forced", ["auto", "eevee", "cycles"])
    def test_joins_the_farm_without_a_gpu(self, software_opengl: Settings, forced: str) -> None:
        settings = software_opengl.model_copy(update={"engine": forced})
        device = engine.probe(Path(), sandbox.Limits())
        migrate(settings.database)
        with contextlib.closing(Database(settings.database)) as database:
            joins = facts.gather("one", [], engine.choose(settings, Path(), device), device, database, settings)
        assert (joins.has_gpu, joins.gpu) == (False, "llvmpipe (LLVM 15)")

    def test_differs_from_a_hardware_gpu(self, healthy: Settings) -> None:
        VerdictFile(healthy, CARD.key).store(Verdict("cycles-optix", (OPTIX,), is_sound=True))
        migrate(healthy.database)
        with contextlib.closing(Database(healthy.database)) as database:
            joins = facts.gather("one", [], engine.choose(healthy, Path(), CARD), CARD, database, healthy)
        assert (joins.has_gpu, joins.engine) == (True, "cycles-optix")
        assert joins.measured_engines
        assert joins.measured_engines[0]["seconds"] == FAST
