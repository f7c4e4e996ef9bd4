"""Select the engine that this machine draws with: FARM_ENGINE, or the fastest that was measured on its GPU.

A machine without a GPU measures nothing: it draws with Cycles on the CPU, as EEVEE in software OpenGL takes several
times as long for a picture.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import structlog

from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.errors import RenderFailed
from farm.processes.sandbox import Sandbox, of_blender
from farm.rendering.calibration import calibrate, compile_first
from farm.rendering.verdict import Key, Verdict
from farm.rendering.verdict_file import VerdictFile
from farm.scene.shot import BACK_ENDS, Engine
from farm.settings import Settings

log = structlog.get_logger()

PROBE_TIMEOUT_SECONDS = 180.0  # a cold driver compiles EEVEE's shaders first
DEVICE_FILES = ("/dev/dri/renderD*", "/dev/nvidia[0-9]*", "/dev/dxg")
DRIVER_VERSIONS = ("/sys/module/nvidia/version", "/sys/module/amdgpu/version")

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Gpu:
    """The OpenGL device that EEVEE would draw on. `driver` is its version."""

    renderer: str
    vendor: str
    software: bool
    driver: str = ""


@dataclass(frozen=True)
class Devices:
    """What Blender can draw on here besides the CPU: EEVEE's OpenGL device, and Cycles' GPU by engine."""

    opengl: Gpu | None = None
    cycles: Mapping[Engine, str] = field(default_factory=dict)

    @property
    def engines(self) -> list[Engine]:
        """The engines that draw on a GPU."""
        eevee: list[Engine] = ["eevee"] if self.opengl and not self.opengl.software else []
        return [*eevee, *self.cycles]

    @property
    def absent(self) -> dict[Engine, str]:
        """Why the other engines for GPUs cannot draw here."""
        opengl = f"only software OpenGL ({self.opengl.renderer})" if self.opengl else "no OpenGL"
        reasons: dict[Engine, str] = {"eevee": opengl, **dict.fromkeys(BACK_ENDS, "no device")}
        return {engine: reason for engine, reason in reasons.items() if engine not in self.engines}

    @property
    def name(self) -> str | None:
        """The GPU's name; that of software OpenGL if there is no GPU but OpenGL."""
        opengl = self.opengl.renderer if self.opengl else None
        if self.opengl and not self.opengl.software:
            return opengl
        return next(iter(self.cycles.values()), opengl)

    @property
    def key(self) -> Key:
        """What a verdict about these devices holds for."""
        drivers = [self.opengl.driver] if self.opengl else []
        for path in map(Path, DRIVER_VERSIONS):
            with contextlib.suppress(OSError):
                drivers.append(f"{path.parent.name} {path.read_text().strip()}")
        engines = ", ".join(sorted(self.engines))
        return Key(self.name or "", engines, ", ".join(drivers), bpy=version("bpy"), plinth=version("plinth"))


@dataclass(frozen=True)
class Choice:
    """The engine of this machine, and the verdict that it follows from, if it was measured."""

    engine: Engine
    verdict: Verdict | None = None


def choose_engine(settings: Settings, scratch: Path) -> Engine:
    """The engine set by FARM_ENGINE; if that is auto, the one that this machine draws fastest with."""
    if settings.engine != "auto":
        return settings.engine
    return choose(settings, scratch, probe(scratch, of_blender(settings))).engine


def choose(settings: Settings, scratch: Path, devices: Devices) -> Choice:
    """As `choose_engine`, for devices that were probed already. Measures on a GPU without a verdict, for a minute."""
    if settings.engine != "auto":
        choice = Choice(settings.engine)
    elif not devices.engines:
        choice = Choice("cycles")
    else:
        verdict = _verdict(settings, scratch, devices)
        choice = Choice(verdict.engine, verdict)
    log.info("engine_selected", engine=choice.engine, gpu=devices.name, measured=choice.verdict is not None)
    return choice


def known(settings: Settings, devices: Devices) -> Verdict | None:
    """The verdict that is kept for these devices; None if they have to be measured."""
    return VerdictFile(settings, devices.key).load()


def measure(settings: Settings, scratch: Path, devices: Devices, *, compiling_first: bool = False) -> Verdict:
    """Measure this machine's engines and keep the verdict, replacing an earlier one; not without a GPU.

    With `compiling_first` no engine is out because its driver still compiles; this may take minutes.
    """
    file = VerdictFile(settings, devices.key)
    with file.locked():
        return _measure(file, settings, scratch, devices, compiling_first=compiling_first)


def _measure(
    file: VerdictFile, settings: Settings, scratch: Path, devices: Devices, *, compiling_first: bool = False
) -> Verdict:
    host = BlenderHost(scratch, of_blender(settings), settings.blender_bytes)
    if compiling_first:
        compile_first(host, settings, devices.engines)
    verdict = calibrate(host, settings, devices.engines, devices.absent)
    if verdict.is_sound and devices.engines:
        file.store(verdict)
    return verdict


def _verdict(settings: Settings, scratch: Path, devices: Devices) -> Verdict:
    """The verdict that is kept, or a new one. Of several workers of a machine that start together one measures."""
    if verdict := known(settings, devices):
        return verdict
    file = VerdictFile(settings, devices.key)
    with file.locked():
        return file.load() or _measure(file, settings, scratch, devices)


def probe(scratch: Path, confined_by: Sandbox) -> Devices:
    """What Blender can draw on, from a separate Blender, because a driver that is missing or broken ends it.

    Where there is no device file of a GPU, no Blender is started, and nothing is found.
    """
    if not device_files():
        return Devices()
    host = BlenderHost(scratch, confined_by)
    try:
        return Devices(cycles=_answer(host, Blender.cycles_gpus) or {}, opengl=_answer(host, _opengl))
    finally:
        host.kill()


def _opengl(blender: Blender) -> Gpu:
    return Gpu(**blender.gpu())


def _answer(host: BlenderHost, call: Callable[[Blender], Answer]) -> Answer | None:
    """The host's answer to a call; None if it cannot answer. It is started if it does not run."""
    try:
        host.ensure_ready()
        with Blender(host.socket_path, PROBE_TIMEOUT_SECONDS) as blender:
            return call(blender)
    except RenderFailed:
        return None


def device_files() -> list[Path]:
    """The machine's GPU device files. Without any, OpenGL is available in software only."""
    return [path for pattern in DEVICE_FILES for path in Path("/").glob(pattern.lstrip("/"))]
