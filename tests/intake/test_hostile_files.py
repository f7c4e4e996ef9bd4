"""Hostile files end in a refusal or pass the check, and the processes that read them touch nothing else."""

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.errors import InvalidFormat
from farm.intake import confined_process
from farm.intake.checker import Checker
from farm.settings import DEFAULT_LIMITS
from tests.intake import audited
from tests.support.hostile import HostileFile, hostile_files

AUDITED = [sys.executable, "-I", str(Path(__file__).with_name("audited.py"))]
CONCURRENT = 2
MAX_SECONDS = 30  # of a check, before it is refused for its time; a busy machine is no defect


@pytest.fixture
def audited_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that `confined_process.run` starts are audited."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec {" ".join(AUDITED)} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


async def outcome(checker: Checker, file: HostileFile) -> str:
    """How the file fares: "refused" or "passed". Any other error, also a crash, is raised."""
    with tempfile.NamedTemporaryFile() as source, tempfile.NamedTemporaryFile() as target:
        source.write(file.content)
        source.flush()
        path = Path(source.name)
        try:
            if file.name.endswith(".zip"):
                await confined_process.convert_scan(path, target)
            else:
                checked = await checker.check(path, file.name, DEFAULT_LIMITS)
                if not checked.packed:
                    return "passed"
                await confined_process.unpack_model(path, target)
            await checker.check(Path(target.name), "converted.glb", DEFAULT_LIMITS)
        except InvalidFormat as error:
            refusal = error
        else:
            return "passed"
    assert type(refusal) is InvalidFormat, f"{file.description}: the process crashed"
    assert refusal.message.isprintable(), file.description
    assert len(refusal.message) < 700, file.description
    return "refused"


@pytest.mark.slow
@pytest.mark.usefixtures("audited_python")
def test_hostile_files_are_refused_or_harmless() -> None:
    outcomes: Counter[str] = Counter()
    files: Iterator[HostileFile] = hostile_files()

    async def work(checker: Checker) -> None:
        for file in files:
            outcomes[await outcome(checker, file)] += 1

    async def work_together() -> None:
        checker = Checker([*AUDITED, "-m", "farm.intake.check_server"], timeout_seconds=MAX_SECONDS)
        await asyncio.gather(*(work(checker) for _ in range(CONCURRENT)))
        checker.close()

    asyncio.run(work_together())
    assert outcomes.total() >= 300
    assert outcomes["refused"] > outcomes["passed"] > 0


def test_generates_the_same_files_each_time() -> None:
    first, second = hostile_files(), hostile_files()
    for _ in range(300):
        assert next(first) == next(second)


@pytest.mark.parametrize(
    ("arguments", "event"),
    [(["json.tool", "CANARY"], "open"), (["http.server", "--bind", "127.0.0.1", "0"], "socket")],
)
def test_the_audit_ends_what_no_check_should_do(tmp_path: Path, arguments: list[str], event: str) -> None:
    canary, own = tmp_path / "canary", tmp_path / "own"
    canary.write_text("{}")
    own.mkdir()
    command = [*AUDITED, "-m", *(str(canary) if argument == "CANARY" else argument for argument in arguments)]
    ended = subprocess.run(command, env={"TMPDIR": str(own)}, capture_output=True, text=True, check=False)
    assert ended.returncode == audited.VIOLATION_EXIT_CODE, ended.stderr
    assert f"audit: {event}" in ended.stderr
