"""Sandboxes: how a process that reads a client's file is kept from the farm's secrets, other tenants and the network.

A sandbox changes a command line; farm.processes.confine does the work in the child. docs/security.md has the tiers.
`isolate_this_process` does it where there is no other command to execute.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from farm.errors import SandboxTooWeak
from farm.processes import confine, landlock, seccomp
from farm.settings import Settings

Tier = Literal["limits", "isolation"]  # from weak to strong; each includes the ones before it
TIERS: tuple[Tier, ...] = get_args(Tier)

PACKAGES = ("farm", "camera_paths", "blender_scenes")
ROOT = Path(__file__).parents[2]  # the folder of these packages
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from farm.processes import confine; confine.main()"

MAX_OPEN_FILES = 4096
MAX_THREADS, MAX_THREADS_PER_CORE = 512, 8
# All that a confined process sees of the environment: language, libraries, and what selects and tunes a GPU's driver.
# Not DISPLAY: a client of an X server sees the screen and the keyboard. Drivers work without one, by EGL.
KEPT_NAMES = {"PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "DRI_PRIME", "OCIO"}
KEPT_PREFIXES = ("LC_", "EGL_", "__EGL_", "__GL_", "__GLX_", "__NV_", "NVIDIA_", "CUDA_", "OPTIX_", "HIP_", "ROCR_",
                 "MESA_", "LIBGL_", "GALLIUM_", "LP_", "FONTCONFIG_")  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """What a confined process may use.

    `writable` are folders and files that it may change; `readable` it may read, besides the system, Python and this
    program. `memory_bytes` limits the memory that it reserves to write to, `file_bytes` each file, `cpu_seconds` its
    whole life. Without `may_fork` it may start threads only. `parent` is a process that it ends with.
    `may_use_gpu` opens the devices of GPUs.
    """

    writable: Sequence[Path]
    readable: Sequence[Path] = ()
    memory_bytes: int | None = None
    file_bytes: int = 2 * 1024**3
    cpu_seconds: int | None = None
    may_fork: bool = False
    may_use_gpu: bool = False
    parent: int | None = None


class Sandbox(Protocol):
    """A way to run a command confined."""

    @property
    def tier(self) -> Tier: ...

    @property
    def description(self) -> str:
        """The mechanisms, for an operator."""

    def command(self, command: Sequence[str | Path], rules: Rules) -> list[str]:
        """The command line that runs `command` confined."""


class Limits:
    """Tier `limits`, on every Linux: resource limits, no new privileges, the first to end when memory runs out."""

    tier: Tier = "limits"
    description = "rlimits, no_new_privs"

    def command(self, command: Sequence[str | Path], rules: Rules) -> list[str]:
        return _command(command, rules, isolated=False)


class Isolation:
    """Tier `isolation`: also no network, no files and no processes but its own, by Landlock and seccomp."""

    tier: Tier = "isolation"

    @property
    def description(self) -> str:
        return f"Landlock {landlock.version()}, seccomp"

    def command(self, command: Sequence[str | Path], rules: Rules) -> list[str]:
        return _command(command, rules, isolated=True)

    @staticmethod
    def is_supported() -> bool:
        return landlock.version() > 0 and seccomp.is_supported()


@cache
def strongest() -> Sandbox:
    """The sandbox of the highest tier that this machine supports."""
    return Isolation() if Isolation.is_supported() else Limits()


def of_blender(settings: Settings) -> Sandbox:
    """The sandbox for Blender. Raises SandboxTooWeak when it is below the required tier."""
    sandbox = Limits() if settings.sandbox == "limits" else strongest()
    if TIERS.index(sandbox.tier) < TIERS.index(settings.sandbox_required):
        reason = "FARM_SANDBOX is limits" if settings.sandbox == "limits" else "its kernel or container has no Landlock"
        raise SandboxTooWeak(
            f"FARM_SANDBOX_REQUIRED is {settings.sandbox_required}, and this machine confines Blender by"
            f" {sandbox.tier} only: {reason} (docs/security.md)"
        )
    return sandbox


def isolate_this_process(rules: Rules) -> None:
    """Take network, files and other processes from this process for good, where the machine supports `isolation`.

    Of the rules, those of resources and of the parent are not applied. Threads that run already are not confined, so
    there must be none. PR_SET_NO_NEW_PRIVS must be set.
    """
    if Isolation.is_supported():
        confine.isolate(**_isolation(rules))


def clean_environment(home: Path, temporary: Path) -> dict[str, str]:
    """The environment for a confined process: without any secret, with its own HOME and TMPDIR."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_NAMES or name.startswith(KEPT_PREFIXES)}
    return {"PATH": os.defpath, **kept, "HOME": str(home), "TMPDIR": str(temporary)}


def _command(command: Sequence[str | Path], rules: Rules, *, isolated: bool) -> list[str]:
    limits = {
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": MAX_OPEN_FILES,
        "RLIMIT_FSIZE": rules.file_bytes,
        "RLIMIT_DATA": rules.memory_bytes,
        "RLIMIT_CPU": rules.cpu_seconds,
        "RLIMIT_NPROC": _threads_of_this_user() + MAX_THREADS + MAX_THREADS_PER_CORE * (os.cpu_count() or 1),
    }
    described = {
        "limits": {name: value for name, value in limits.items() if value is not None},
        "isolation": _isolation(rules) if isolated else None,
        "parent": rules.parent,
    }
    return [sys.executable, "-I", "-S", "-c", START, json.dumps(described), *map(str, command)]


def _isolation(rules: Rules) -> dict[str, Any]:
    """The arguments of `confine.isolate`."""
    return {
        "writable": [str(path.absolute()) for path in rules.writable],
        "readable": [str(path.absolute()) for path in (*_program_folders(), *rules.readable)],
        "listable": [str(path) for path in _import_folders()],
        "may_use_gpu": rules.may_use_gpu,
        "may_fork": rules.may_fork,
    }


def _program_folders() -> Iterator[Path]:
    """Python, the installed packages, and this program."""
    yield from (Path(sys.prefix), Path(sys.base_prefix))
    yield from (Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages"))
    yield from (ROOT / package for package in PACKAGES)


def _import_folders() -> Iterator[Path]:
    """The folders that Python looks for packages in: it has to list them. A checkout may hold the data folder, too."""
    yield ROOT
    yield from (Path(entry).absolute() for entry in sys.path if entry)


def _threads_of_this_user() -> int:
    """The number that the kernel compares with RLIMIT_NPROC, but for processes of other containers."""
    count, user = 0, os.getuid()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if process.stat().st_uid == user:
                count += len(os.listdir(process / "task"))  # noqa: PTH208
    return count
