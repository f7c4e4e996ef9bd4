"""The choice of engine: the configured one, EEVEE on a GPU, Cycles elsewhere."""

from pathlib import Path

import pytest

from farm.processes.sandbox import Limits
from farm.rendering import engine
from farm.rendering.engine import Gpu, choose_engine, device_files
from farm.settings import Settings


def fail_probe(*_: object) -> Gpu:
    raise AssertionError("no Blender may be started")


class TestChoice:
    @pytest.mark.parametrize("forced", ["eevee", "cycles"])
    def test_follows_farm_engine(self, forced: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_ENGINE", forced)
        monkeypatch.setattr(engine, "probe", fail_probe)
        assert choose_engine(Settings(), tmp_path) == forced

    def test_is_cycles_without_a_gpu_and_starts_no_blender(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("FARM_ENGINE", raising=False)
        monkeypatch.setattr(engine, "device_files", lambda: [])
        monkeypatch.setattr(engine, "BlenderHost", fail_probe)
        assert choose_engine(Settings(), tmp_path) == "cycles"

    @pytest.mark.parametrize(
        ("found", "chosen"),
        [
            (Gpu("a card", "a maker", software=False), "eevee"),
            (Gpu("llvmpipe", "Mesa", software=True), "cycles"),
            (None, "cycles"),
        ],
    )
    def test_is_eevee_on_a_real_gpu_only(
        self, found: Gpu | None, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("FARM_ENGINE", raising=False)
        monkeypatch.setattr(engine, "probe", lambda *_: found)
        assert choose_engine(Settings(), tmp_path) == chosen


class TestProbe:
    @pytest.mark.slow
    def test_detects_software_opengl(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A device file without a device, as in some containers, must not select EEVEE in software."""
        if device_files():
            pytest.skip("this machine has a GPU")
        monkeypatch.setattr(engine, "device_files", lambda: [Path("/dev/dri/renderD128")])
        found = engine.probe(tmp_path, Limits())
        assert found is None or found.software

    def test_finds_nothing_if_blender_does_not_start(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "device_files", lambda: [Path("/dev/dri/renderD128")])
        monkeypatch.setattr("farm.blender.host_process.sys.executable", "/bin/false")
        assert engine.probe(tmp_path, Limits()) is None
