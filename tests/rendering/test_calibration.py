"""The calibration measures this machine's engines with a real Blender, and survives engines that fail."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.rendering import calibration
from farm.rendering.calibration import calibrate
from farm.scene.shot import ENGINES
from farm.settings import Settings
from farm.tiers import TIERS

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Few small pictures, as on any machine they take the same path as large ones."""
    monkeypatch.setattr(calibration, "HEIGHTS", (72, 144))
    monkeypatch.setattr(calibration, "REFERENCE_SAMPLES", 32)
    return Settings(samples=4)


def test_measures_cycles_on_the_cpu_and_gives_reasons_for_the_rest(settings: Settings, tmp_path: Path) -> None:
    """A back end without a device must not pass because Cycles draws on the CPU instead."""
    host = BlenderHost(tmp_path)
    verdict = calibrate(host, settings, ["cycles-cuda"], {"eevee": "no OpenGL", "cycles-hip": "no device"})
    assert (verdict.engine, verdict.is_sound) == ("cycles", True)
    found = {each.engine: each for each in verdict.candidates}
    assert found["cycles"].seconds.keys() == found["cycles"].psnr.keys() == TIERS.keys()
    times = [found["cycles"].seconds[tier] for tier in ("preview", "share", "standard", "4k")]
    assert times == sorted(times), "a larger picture takes longer"
    assert "finds no GPU for CUDA" in (found["cycles-cuda"].reason or "")
    assert (found["eevee"].reason, found["cycles-hip"].reason) == ("no OpenGL", "no device")
    assert found.keys() == {*ENGINES} - {"cycles-optix"}
    assert host.pid is None, "the host is gone"
