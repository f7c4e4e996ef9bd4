"""Each check of `farm doctor`, with what it checks broken in several ways, and its time limit."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from farm.blender.host_process import BlenderHost
from farm.commands import doctor
from farm.db.tables import now
from farm.errors import BlenderCrashed
from farm.processes import sandbox
from farm.rendering import engine
from farm.rendering.engine import Devices, Gpu
from farm.settings import Settings
from tests.commands.test_doctor import assert_bad, healthy, only
from tests.support.versions import make_wrong, migrate

__all__ = ["healthy"]
REFUSING = "127.0.0.1:1"  # no server listens there


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def script(folder: Path, text: str) -> Path:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("version", [(3, 10, 1), (3, 12, 0), (4, 0, 0)])
def test_names_the_python_that_is_needed(
    healthy: Settings, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]
) -> None:
    assert only(doctor.python, healthy).ok
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=version))
    assert_bad(only(doctor.python, healthy), "3.11")


class TestSandbox:
    def test_reports_a_kernel_that_confines_too_little(
        self, healthy: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sandbox, "strongest", sandbox.Limits)
        assert_bad(only(doctor.sandbox, healthy.model_copy(update={"sandbox_required": "isolation"})), "Landlock")

    def test_reports_settings_that_contradict_each_other(self, healthy: Settings) -> None:
        bad = healthy.model_copy(update={"sandbox": "limits", "sandbox_required": "isolation"})
        check = only(doctor.sandbox, bad)
        assert_bad(check, "Landlock")
        assert "FARM_SANDBOX is limits" in check.found

    def test_reports_a_kernel_that_fails(self, healthy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise OSError("not permitted")

        monkeypatch.setattr(sandbox, "strongest", fail)
        check = only(doctor.sandbox, healthy)
        assert_bad(check, "Landlock")
        assert check.found == "not permitted"


class TestBlender:
    @pytest.mark.parametrize("program", ["exit 1", f"kill -{int(signal.SIGSEGV)} $$"])
    def test_reports_one_that_does_not_start(
        self, healthy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
    ) -> None:
        monkeypatch.setattr("farm.blender.host_process.sys.executable", str(script(tmp_path, program)))
        assert_bad(only(doctor.blender, healthy), "make setup")

    def test_reports_one_that_hangs(self, healthy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        released = threading.Event()
        monkeypatch.setattr(BlenderHost, "start", lambda _: released.wait(30))
        monkeypatch.setitem(doctor.LIMITS_SECONDS, "blender", 0.1)
        check = only(doctor.blender, healthy)
        released.set()
        assert_bad(check, "make setup")
        assert "no result within" in check.found


class TestEngine:
    @pytest.mark.parametrize(
        ("device", "device_files", "forced", "fix"),
        [
            (Devices(), [], "eevee", "FARM_ENGINE=auto"),
            (Devices(), [], "cycles-optix", "FARM_ENGINE=auto"),
            (Devices(), ["/dev/nvidia0"], "auto", "driver"),
            (Devices(Gpu("llvmpipe", "Mesa", software=True)), ["/dev/nvidia0"], "auto", "FARM_ENGINE=cycles"),
        ],
    )
    def test_reports_a_gpu_that_cannot_be_used(
        self,
        healthy: Settings,
        monkeypatch: pytest.MonkeyPatch,
        device: Devices,
        device_files: list[str],
        forced: str,
        fix: str,
    ) -> None:
        monkeypatch.setattr(engine, "device_files", lambda: [Path(name) for name in device_files])
        monkeypatch.setattr(engine, "probe", lambda *_: device)
        assert_bad(only(doctor.gpu, healthy.model_copy(update={"engine": forced})), fix)

    def test_reports_a_probe_that_fails(self, healthy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise BlenderCrashed

        monkeypatch.setattr(engine, "probe", fail)
        check = only(doctor.gpu, healthy)
        assert_bad(check)
        assert check.name == "engine"


@pytest.mark.parametrize("program", ["exit 1", "echo ' libx264 '", "exec sleep 60"])
def test_reports_an_ffmpeg_that_cannot_encode(
    healthy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(doctor, "FFMPEG_SECONDS", 0.5)
    assert_bad(only(doctor.ffmpeg, healthy.model_copy(update={"ffmpeg": script(tmp_path, program)})), "FARM_FFMPEG")


class TestRedis:
    def test_reports_one_that_is_set_and_refuses_or_hangs(
        self, healthy: Settings, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("farm.scheduling.doorbell.connect.__kwdefaults__", {"timeout": 0.2})
        for url in (f"redis://{REFUSING}/0", f"redis://{silent}/0", f"unix://{tmp_path}/none", "nonsense"):
            bad = Settings(data=healthy.data, redis_url=url)
            assert_bad(only(doctor.redis, bad), "FARM_REDIS_URL")

    def test_reports_one_that_rejects_the_password(self, healthy: Settings, redis_url: str) -> None:
        url = redis_url.replace("unix://", "unix://eve:wrong@")
        check = only(doctor.redis, Settings(data=healthy.data, redis_url=url))
        assert_bad(check, "FARM_REDIS_URL")
        assert "wrong" not in check.found

    def test_accepts_none_if_farm_up_starts_its_own(self, healthy: Settings) -> None:
        healthy.__dict__["redis_url"] = f"redis://{REFUSING}/0"  # as on a machine whose port 6379 is closed
        check = only(doctor.redis, healthy)
        assert check.ok
        assert "farm up" in check.found


class TestDatabase:
    @pytest.mark.parametrize(("version", "fix"), [("older", "Run `farm db upgrade`."), ("newer", "Update Plinth")])
    @pytest.mark.on_both_databases
    def test_reports_another_version(
        self, settings: Settings, database: object, monkeypatch: pytest.MonkeyPatch, version: str, fix: str
    ) -> None:
        make_wrong(database, version, monkeypatch)  # type: ignore[arg-type]
        assert_bad(only(doctor.database, settings), fix)

    def test_speaks_of_postgresql_where_it_is_used(
        self, healthy: Settings, silent: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("farm.db.session.UNREACHABLE_TIMEOUT_SECONDS", 2)  # libpq's shortest
        for url in (f"postgresql://{REFUSING}/plinth", f"postgresql://{silent}/plinth"):
            check = only(doctor.database, healthy.model_copy(update={"database_url": url}))
            assert_bad(check, "Start PostgreSQL", "FARM_DATABASE_URL")
            assert "FARM_DATA " not in (check.fix or "")

    @pytest.mark.postgresql
    def test_reports_a_postgresql_without_the_database(self, healthy: Settings, postgresql_url: str) -> None:
        url = postgresql_url.replace("/postgres?", "/none?")
        check = only(doctor.database, healthy.model_copy(update={"database_url": url}))
        assert_bad(check, "FARM_DATABASE_URL")
        assert "none" in check.found

    def test_reports_an_sqlite_file_that_is_none(self, healthy: Settings) -> None:
        healthy.make_data_folder()
        (healthy.data / "plinth.db").write_bytes(b"no database" * 100)
        assert_bad(only(doctor.database, healthy), "FARM_DATA")


class TestClocks:
    @pytest.mark.parametrize("hours", [1, -1])
    def test_reports_one_that_is_off(self, healthy: Settings, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
        migrate(healthy.database)
        monkeypatch.setattr(doctor, "now", lambda: now() + timedelta(hours=hours))
        assert_bad(only(doctor.clocks, healthy), "NTP")

    def test_reports_one_that_cannot_be_compared(self, healthy: Settings) -> None:
        bad = healthy.model_copy(update={"database_url": f"postgresql://{REFUSING}/plinth"})
        assert_bad(only(doctor.clocks, bad), "check of the database")


@pytest.mark.parametrize("folder", ["/proc/x", "/proc/self/x", "/dev/null/x", "/dev/null"])
def test_reports_a_data_folder_that_cannot_be_written(healthy: Settings, folder: str) -> None:
    bad = healthy.model_copy(update={"data": Path(folder)})
    assert_bad(only(doctor.storage, bad), "FARM_DATA")
    assert_bad(only(doctor.database, bad), "FARM_DATA")


@pytest.mark.parametrize("folder", ["/proc", "/dev/null", "/none/here"])
def test_reports_a_scratch_folder_that_cannot_be_written(healthy: Settings, folder: str) -> None:
    assert_bad(only(doctor.scratch, healthy.model_copy(update={"scratch": Path(folder)})), "FARM_SCRATCH")


@pytest.mark.parametrize(
    "check",
    [
        doctor.python,
        doctor.sandbox,
        doctor.blender,
        doctor.gpu,
        doctor.ffmpeg,
        doctor.redis,
        doctor.database,
        doctor.clocks,
        doctor.storage,
        doctor.scratch,
    ],
)
def test_reports_a_check_that_hangs(
    healthy: Settings, monkeypatch: pytest.MonkeyPatch, check: Callable[[Settings], doctor.Check]
) -> None:
    released = threading.Event()

    def hang(_: Settings) -> doctor.Check:
        released.wait(30)
        return doctor.Check("hung", True, "")

    hang.__name__ = check.__name__
    monkeypatch.setattr(doctor, check.__name__, hang)
    monkeypatch.setattr(doctor, "LIMIT_SECONDS", 0.05)
    monkeypatch.setattr(doctor, "LIMITS_SECONDS", {})
    result = only(hang, healthy)
    released.set()
    assert_bad(result)
    assert result.fix
    assert result.name == ("engine" if check.__name__ == "gpu" else check.__name__)
    assert "no result within" in result.found
