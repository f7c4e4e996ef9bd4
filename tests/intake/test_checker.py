"""Checks run in processes with limits, whatever a decoder that was taken over does there."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from farm.errors import IntakeCrashed, InvalidFormat
from farm.intake import checker as checker_module
from farm.intake import confined_process
from farm.intake.checked_model import CheckedModel
from farm.intake.checker import Checker
from farm.processes.sandbox import Isolation
from farm.settings import DEFAULT_LIMITS, ModelLimits
from tests.intake.gltf_bytes import glb, refused, triangle
from tests.support.polling import until

in_isolation = pytest.mark.skipif(not Isolation.is_supported(), reason="this kernel has no Landlock or no seccomp")
TAMPERED = [sys.executable, "-I", str(Path(__file__).with_name("tampered_check_server.py"))]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.glb"
    path.write_bytes(glb(triangle()))
    return path


@pytest.fixture
def tampered() -> Iterator[Checker]:
    """A checker whose processes misbehave, with 2 seconds for each."""
    checker = Checker(TAMPERED, timeout_seconds=2)
    yield checker
    checker.close()
    assert not processes()


def processes() -> list[int]:
    """The running processes of tampered checkers: servers and checks."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # zombies, too
            if TAMPERED[-1] in process.cmdline():
                found.append(process.pid)
    return found


def check(checker: Checker, path: Path, name: str = "model.glb", limits: ModelLimits = DEFAULT_LIMITS) -> CheckedModel:
    return asyncio.run(checker.check(path, name, limits))


def facts(checker: Checker, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(check(checker, path, "facts.glb").clips[0])
    return found


class TestChecker:
    def test_reports_what_the_check_finds(self, model: Path) -> None:
        checker = Checker()
        assert check(checker, model) == CheckedModel("glb", ["Rise"], False)
        model.write_bytes(glb(triangle("nodes[0].mesh", 7)))
        with pytest.raises(InvalidFormat, match=r"nodes\[0\].mesh is 7"):
            check(checker, model)
        with pytest.raises(InvalidFormat, match=r"'model\.exe' is not accepted"):
            check(checker, model, "model.exe")

    def test_takes_the_limits_of_the_settings(self, model: Path) -> None:
        with pytest.raises(InvalidFormat, match="has 3 nodes: 2 are allowed"):
            check(Checker(), model, limits=ModelLimits(max_nodes=2))

    def test_checks_many_files_at_once(self, model: Path) -> None:
        checker = Checker()

        async def together() -> list[CheckedModel]:
            return await asyncio.gather(*(checker.check(model, "model.glb", DEFAULT_LIMITS) for _ in range(20)))

        assert asyncio.run(together()) == [CheckedModel("glb", ["Rise"], False)] * 20


class TestLimits:
    def test_are_set_in_each_process(self, tampered: Checker, model: Path) -> None:
        first, second = facts(tampered, model), facts(tampered, model)
        memory = checker_module.MAX_MEMORY_MB * 1024**2
        assert first["limits"]["AS"] == [memory, memory]
        assert first["limits"]["CPU"] == [2, 2]
        assert first["limits"]["CORE"] == first["limits"]["NPROC"] == [0, 0]
        assert first["limits"]["NOFILE"][0] <= 256
        assert first["limits"]["FSIZE"][0] <= 1024**3
        assert first["no_new_privileges"]
        assert first["niceness"] >= 10
        assert first["process"] != second["process"]

    def test_leave_nothing_of_the_callers(
        self, tampered: Checker, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FARM_S3_SECRET_KEY", "a secret")
        with model.open("rb") as other:
            found = facts(tampered, model)
            assert other.fileno() > 0
        assert set(found["environment"]) <= {*("PATH", "HOME", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX", "LC_CTYPE")}
        assert found["files"][:3] == [0, 1, 2]
        own = "the model, the answer twice, the folder that is being listed"
        if Isolation.is_supported():
            assert len(found["files"]) == 5, f"{own}, and its parent"
        else:
            assert len(found["files"]) == 4, own

    @in_isolation
    def test_refuse_network_files_and_processes(self, tampered: Checker, model: Path) -> None:
        assert facts(tampered, model)["open_to_attacks"] == []

    def test_end_a_check_that_needs_too_much_memory(self, tampered: Checker, model: Path) -> None:
        with pytest.raises(InvalidFormat, match="needs more than 4096 MB of memory"):
            check(tampered, model, "memory.glb")

    @pytest.mark.parametrize("name", ["endless.glb", "busy.glb"])
    def test_end_a_check_that_takes_too_long(self, tampered: Checker, model: Path, name: str) -> None:
        with pytest.raises(InvalidFormat, match="took longer than 2 seconds"):
            check(tampered, model, name)
        until(lambda: len(processes()) == 1)

    @pytest.mark.parametrize(
        ("name", "exit_code"), [("crash.glb", -signal.SIGSEGV), ("flood.glb", -signal.SIGKILL), ("error.glb", 1)]
    )
    def test_survive_a_check_that_crashes(self, tampered: Checker, model: Path, name: str, exit_code: int) -> None:
        with capture_logs() as logs, pytest.raises(IntakeCrashed):
            check(tampered, model, name)
        assert [(line["event"], line["exit_code"]) for line in logs] == [("sandbox_failed", exit_code)]
        assert check(tampered, model).format == "glb"

    def test_survive_a_check_that_kills_the_server(self, tampered: Checker, model: Path) -> None:
        with pytest.raises(IntakeCrashed):
            check(tampered, model, "killed.glb")
        assert check(tampered, model).format == "glb"
        until(lambda: len(processes()) == 1)

    def test_end_a_check_whose_request_is_cancelled(self, tampered: Checker, model: Path) -> None:
        async def cancelled() -> None:
            task = asyncio.create_task(tampered.check(model, "endless.glb", DEFAULT_LIMITS))
            await asyncio.to_thread(until, lambda: len(processes()) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled())
        until(lambda: len(processes()) == 1)


def test_conversions_have_the_same_limits(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_S3_SECRET_KEY", "a secret")
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nshift 3\nexec {" ".join(TAMPERED)} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with tempfile.TemporaryFile() as target:
        running = confined_process.run("a module", model, target, timeout_seconds=60, memory_mb=1000)
        found = asyncio.run(running)
    assert found["limits"]["AS"] == [1000 * 1024**2] * 2
    assert found["limits"]["CORE"] == found["limits"]["NPROC"] == [0, 0]
    assert found["limits"]["CPU"][0] <= 3600
    assert found["no_new_privileges"]
    assert "FARM_S3_SECRET_KEY" not in found["environment"]
    if Isolation.is_supported():
        assert found["open_to_attacks"] == []


@pytest.mark.parametrize(
    "module",
    ["farm.intake.check_server", "farm.intake.picture", "farm.intake.scan", "farm.intake.unpack",
     "farm.blender.obj_to_glb"],
)  # fmt: skip
def test_no_thread_runs_before_a_process_is_confined(module: str) -> None:
    """It would not be confined."""
    program = f"import os, {module}; print(len(os.listdir('/proc/self/task')))"
    assert subprocess.check_output([sys.executable, "-I", "-c", program], env=confined_process.ENVIRONMENT) == b"1\n"


def test_ends_with_the_process_that_uses_it(model: Path) -> None:
    program = f"""
import asyncio, os, sys
from pathlib import Path
from farm.intake.checker import Checker
from farm.settings import DEFAULT_LIMITS
checker = Checker({TAMPERED!r})
asyncio.run(checker.check(Path({str(model)!r}), "model.glb", DEFAULT_LIMITS))
print(checker._process.pid, flush=True)
sys.stdin.read()
"""
    with psutil.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True) as user:
        server = int(user.stdout.readline())
        assert psutil.pid_exists(server)
        user.kill()
    until(lambda: not psutil.pid_exists(server) or psutil.Process(server).status() == psutil.STATUS_ZOMBIE)


def test_names_are_limited_where_the_api_stores_them() -> None:
    for length in (257, 10**6):
        document = triangle("animations[0].name", "n" * length)
        refused(glb(document), f"animations[0].name has {length} characters: 256 are allowed")


def test_names_hold_no_character_that_postgresql_refuses() -> None:
    refused(glb(triangle("animations[0].name", "a\0b")), "with a NUL character")
