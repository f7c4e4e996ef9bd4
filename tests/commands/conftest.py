"""A farm for commands that render, and a check that they do not."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def small_farm(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new farm with low resolution and quality, and the test's folder as working directory."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "data").mkdir()
    shutil.copyfile(sqlite_template, tmp_path / "data" / "plinth.db")
    values = {"SCRATCH": "scratch", "DATA": "data", "SCALE": "0.1", "FPS": "2", "SAMPLES": "1", "ENGINE": "cycles"}
    for name, value in values.items():
        monkeypatch.setenv(f"FARM_{name}", str(tmp_path / value) if name in {"SCRATCH", "DATA"} else value)
    monkeypatch.delenv("FARM_FFMPEG", raising=False)
    monkeypatch.delenv("FARM_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_blender(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blender must not start in this test."""

    def start(*_: object) -> None:
        raise AssertionError("Blender must not start")

    monkeypatch.setattr("farm.rendering.local.BlenderHost.start", start)
