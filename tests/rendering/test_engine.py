"""The choice of engine: the configured one, the fastest on a GPU, Cycles on the CPU elsewhere."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from farm.blender.host_process import BlenderHost
from farm.processes.sandbox import Limits
from farm.rendering import engine
from farm.rendering.engine import Devices, Gpu, choose, choose_engine, device_files, known
from farm.rendering.verdict import Candidate, Verdict
from farm.scene.shot import ENGINES
from farm.settings import Settings

NVIDIA = Gpu("NVIDIA H100", "NVIDIA", software=False, driver="4.6.0 NVIDIA 580.1")
LLVMPIPE = Gpu("llvmpipe", "Mesa", software=True, driver="4.5 Mesa 25")
CARD = Devices(NVIDIA, {"cycles-optix": "NVIDIA H100", "cycles-cuda": "NVIDIA H100"})
VERDICT = Verdict(
    "cycles-optix",
    (Candidate("cycles-optix", {"share": 0.1}, {"share": 35.0}), Candidate("eevee", reason="Blender crashed")),
    is_sound=True,
)


def fail(*_: object, **__: object) -> Devices:
    raise AssertionError("no Blender may be started")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("FARM_ENGINE", raising=False)
    return Settings(data=tmp_path / "data")


@pytest.fixture
def calibrations(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The calibrations that were made, each with VERDICT."""
    made: list[object] = []

    def calibrate(*arguments: object) -> Verdict:
        made.append(arguments)
        return VERDICT

    monkeypatch.setattr(engine, "calibrate", calibrate)
    return made


class TestChoice:
    @pytest.mark.parametrize("forced", ENGINES)
    def test_follows_farm_engine(self, forced: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FARM_ENGINE", forced)
        monkeypatch.setattr(engine, "probe", fail)
        assert choose_engine(Settings(), tmp_path) == forced

    def test_is_cycles_without_a_gpu_and_starts_no_blender(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "device_files", lambda: [])
        monkeypatch.setattr(engine, "BlenderHost", fail)
        assert choose_engine(settings, tmp_path) == "cycles"

    @pytest.mark.parametrize("opengl", [None, LLVMPIPE])
    def test_is_cycles_and_measures_nothing_with_software_opengl_only(
        self, settings: Settings, tmp_path: Path, opengl: Gpu | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "BlenderHost", fail)
        assert choose(settings, tmp_path, Devices(opengl)).engine == "cycles"
        assert not settings.data.exists()

    def test_is_the_fastest_that_was_measured(
        self, settings: Settings, tmp_path: Path, calibrations: list[object]
    ) -> None:
        choice = choose(settings, tmp_path, CARD)
        assert (choice.engine, choice.verdict) == ("cycles-optix", VERDICT)
        assert len(calibrations) == 1

    def test_measures_a_card_that_only_cycles_can_use(
        self, settings: Settings, tmp_path: Path, calibrations: list[object]
    ) -> None:
        """As in a container with NVIDIA's compute libraries, but without OpenGL."""
        devices = Devices(None, {"cycles-cuda": "NVIDIA H100"})
        assert (devices.engines, devices.name) == (["cycles-cuda"], "NVIDIA H100")
        assert devices.absent == {"eevee": "no OpenGL", "cycles-optix": "no device", "cycles-hip": "no device"}
        choose(settings, tmp_path, devices)
        assert len(calibrations) == 1


class TestKeptVerdict:
    def test_spares_the_next_start_the_calibration(
        self, settings: Settings, tmp_path: Path, calibrations: list[object]
    ) -> None:
        choices = [choose(settings, tmp_path, CARD) for _ in range(3)]
        assert len(calibrations) == 1
        assert choices == [choices[0]] * 3

    @pytest.mark.parametrize(
        "changed",
        [
            replace(CARD, opengl=replace(NVIDIA, driver="4.6.0 NVIDIA 590")),
            replace(CARD, opengl=replace(NVIDIA, renderer="NVIDIA H200")),
            replace(CARD, opengl=None),
        ],
    )
    def test_is_measured_again_with_another_card_or_driver(
        self, settings: Settings, tmp_path: Path, calibrations: list[object], changed: Devices
    ) -> None:
        for devices in (CARD, changed, CARD, changed):
            choose(settings, tmp_path, devices)
        assert len(calibrations) == 2

    @pytest.mark.parametrize("package", ["bpy", "plinth"])
    def test_is_measured_again_with_another_version(
        self,
        settings: Settings,
        tmp_path: Path,
        calibrations: list[object],
        package: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        choose(settings, tmp_path, CARD)
        versions = {"bpy": "4.5", "plinth": "1", package: "99"}
        monkeypatch.setattr(engine, "version", versions.__getitem__)
        choose(settings, tmp_path, CARD)
        choose(settings, tmp_path, CARD)
        assert len(calibrations) == 2

    @pytest.mark.parametrize(
        "damage",
        [
            lambda _: b"",
            lambda content: content[:-20],
            lambda _: b"\x00\xff",
            lambda content: content.replace(b"cycles-optix", b"cycles-metal"),
            lambda content: content.replace(b'"card":"NVIDIA H100"', b'"card":"another"'),
        ],
        ids=["empty", "truncated", "binary", "unknown engine", "another card's"],
    )
    def test_is_measured_again_if_its_file_is_damaged(
        self,
        settings: Settings,
        tmp_path: Path,
        calibrations: list[object],
        damage: Callable[[bytes], bytes],
    ) -> None:
        choose(settings, tmp_path, CARD)
        [file] = settings.data.glob("engines/*.json")
        file.write_bytes(damage(file.read_bytes()))
        assert known(settings, CARD) is None
        assert choose(settings, tmp_path, CARD).engine == "cycles-optix"
        assert len(calibrations) == 2
        assert known(settings, CARD) == VERDICT

    def test_is_not_kept_if_no_engine_was_fit(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "calibrate", lambda *_: replace(VERDICT, engine="cycles", is_sound=False))
        assert choose(settings, tmp_path, CARD).engine == "cycles"
        assert known(settings, CARD) is None

    def test_is_measured_by_one_of_several_workers_that_start_together(
        self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = []
        all_wait = threading.Event()

        def calibrate(*_: object) -> Verdict:
            made.append(all_wait.wait(1))
            return VERDICT

        monkeypatch.setattr(engine, "calibrate", calibrate)
        workers = [threading.Thread(target=choose, args=(settings, tmp_path, CARD)) for _ in range(4)]
        for worker in workers:
            worker.start()
        all_wait.set()
        for worker in workers:
            worker.join(30)
        assert len(made) == 1

    def test_may_be_impossible_to_keep(self, settings: Settings, tmp_path: Path, calibrations: list[object]) -> None:
        settings.data.write_text("a file where the folder should be")
        assert choose(settings, tmp_path, CARD).engine == "cycles-optix"
        assert len(calibrations) == 1


class TestProbe:
    @pytest.mark.slow
    def test_detects_software_opengl(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A device file without a device, as in some containers, must not select EEVEE in software."""
        if device_files():
            pytest.skip("this machine has a GPU")
        monkeypatch.setattr(engine, "device_files", lambda: [Path("/dev/dri/renderD128")])
        assert engine.probe(tmp_path, Limits()).engines == []

    def test_finds_nothing_if_blender_does_not_start(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine, "device_files", lambda: [Path("/dev/dri/renderD128")])
        monkeypatch.setattr("farm.blender.host_process.sys.executable", "/bin/false")
        assert engine.probe(tmp_path, Limits()) == Devices()
        assert BlenderHost(tmp_path).pid is None
