"""The calibration measures this machine's engines with a real Blender, and survives engines that fail."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.errors import OverBudget
from farm.processes import exit_codes
from farm.rendering import calibration
from farm.rendering.calibration import Picture, calibrate
from farm.scene.shot import ENGINES, Engine, ShotSetup
from farm.settings import Settings
from farm.tiers import TIERS
from tests.support.polling import until
from tests.support.processes import is_blender_host

pytestmark = pytest.mark.slow

# As farm.worker.worker.run does before it joins.
CALIBRATES = """
import sys
from pathlib import Path
from farm.blender.host_process import BlenderHost
from farm.processes import exit_codes
from farm.processes.supervision import exit_on_stop_signal
from farm.rendering import calibration
from farm.settings import Settings

calibration.REFERENCE_SAMPLES = 65536
with exit_on_stop_signal(exit_codes.STOPPED):
    calibration.calibrate(BlenderHost(Path(sys.argv[1])), Settings(), [], {})
sys.exit("it was not stopped")
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Few small pictures, as on any machine they take the same path as large ones."""
    monkeypatch.setattr(calibration, "HEIGHTS", (72, 144))
    monkeypatch.setattr(calibration, "REFERENCE_SAMPLES", 32)
    return Settings(samples=4)


def test_measures_cycles_on_the_cpu_and_gives_reasons_for_the_rest(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A back end without a device must not pass because Cycles draws on the CPU instead."""
    host = BlenderHost(tmp_path)
    draw = calibration._drawn

    def crash_with_optix(blender: Blender, shot: ShotSetup) -> tuple[Picture, float]:
        if shot.engine == "cycles-optix":  # as its driver would
            assert host.pid
            os.kill(host.pid, signal.SIGKILL)
        return draw(blender, shot)

    monkeypatch.setattr(calibration, "_drawn", crash_with_optix)
    absent: dict[Engine, str] = {"eevee": "no OpenGL", "cycles-hip": "no device"}
    verdict = calibrate(host, settings, ["cycles-cuda", "cycles-optix"], absent)
    assert (verdict.engine, verdict.is_sound) == ("cycles", True)
    found = {each.engine: each for each in verdict.candidates}
    assert found.keys() == {*ENGINES}
    assert found["cycles"].seconds.keys() == found["cycles"].psnr.keys() == TIERS.keys()
    times = [found["cycles"].seconds[tier] for tier in ("preview", "share", "standard", "4k")]
    assert times == sorted(times), "those of larger pictures follow from the measured ones"
    assert "finds no GPU for CUDA" in (found["cycles-cuda"].reason or "")
    reasons = [found[engine].reason for engine in ("cycles-optix", "eevee", "cycles-hip")]
    assert reasons == ["Blender crashed", "no OpenGL", "no device"]
    assert host.pid is None, "the host is gone"


def test_keeps_what_it_has_measured_when_the_time_is_over(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow engine is measured at the smallest size only, from which the seconds of the tiers follow."""
    drawn = []
    white = np.full((4, 4, 3), 255.0)

    def draw(_: object, shot: ShotSetup) -> tuple[Picture, float]:
        drawn.append(shot.height)
        if len(drawn) > 1:
            raise OverBudget(12, 3)
        return white, 0.1

    monkeypatch.setattr(calibration, "_connected", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(calibration, "_drawn", draw)
    found = calibration._measured(BlenderHost(tmp_path), settings, "cycles", white, 12)
    assert drawn == [72, 144]
    assert found.seconds["share"] == pytest.approx(0.1 * (960 * 540) / (128 * 72))
    assert found.psnr == dict.fromkeys(TIERS, calibration.MAX_DB)


def test_ends_when_its_time_is_over(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first picture alone would take minutes. Nothing was measured, so nothing is decided."""
    monkeypatch.setattr(calibration, "REFERENCE_SAMPLES", 4096 * 16)
    monkeypatch.setattr(calibration, "REFERENCE_SECONDS", 5.0)
    host = BlenderHost(tmp_path)
    verdict = calibrate(host, settings, ["eevee"], {})
    assert (verdict.engine, verdict.is_sound) == ("cycles", False)
    assert {each.reason for each in verdict.candidates} == {
        "Cycles drew no picture to compare with on the CPU: not measured within 5 s"
    }
    assert host.pid is None


def test_ends_at_once_with_its_worker(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", CALIBRATES, str(tmp_path)], text=True)
    [blender] = until(lambda: [child for child in psutil.Process(worker.pid).children() if is_blender_host(child)])
    until(lambda: list(tmp_path.glob("input/model/*/stand_in.glb")))  # it is about to draw
    worker.terminate()
    assert worker.wait(30) == exit_codes.STOPPED, "a frame would take minutes"
    assert not blender.is_running()
