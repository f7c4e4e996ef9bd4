"""The Blender host's process: started in a sandbox, replaced when it is used up, and killed. Never imports bpy."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from farm.blender.client import INPUT_FOLDER, LOG_NAME, Blender
from farm.errors import BlenderCrashed, BlenderTimeout, RenderFailed
from farm.processes import memory
from farm.processes.removal import remove
from farm.processes.sandbox import Rules, Sandbox, clean_environment, strongest

log = structlog.get_logger()

START_TIMEOUT_SECONDS = 120.0  # until a started host listens; importing bpy from a cold disk is slow
IDLE_TIMEOUT_SECONDS = 2.0  # for the response of an idle host; stopping the frame of a deleted render takes this long
MAX_SHOTS = 200  # of one host process, to bound memory that Blender leaks
MAX_MEMORY_SHARE = 0.8  # of the machine, for one host
MAX_CPU_HOURS = 1000  # of one host, per core: more than its shots can take
OWN_FOLDER = "blender"  # in a host's folder. It may write to this one only, its home and its temporary files included.
# After each large product OpenBLAS' threads spin for a tenth of a second on cores that Blender could render on.
HOST_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
# The drivers' caches of compiled shaders and kernels (Mesa, NVIDIA): EEVEE's first frame takes half a minute on the CPU
# without.
SHADER_VARIABLES = ("MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH", "CUDA_CACHE_PATH", "OPTIX_CACHE_PATH")


def memory_limit(idle_bytes: int) -> int:
    """The bytes that a host may hold while it draws, if an idle one above `idle_bytes` is replaced."""
    return min(2 * idle_bytes, int(MAX_MEMORY_SHARE * memory.of_machine()))


class BlenderHost:
    """A Blender host process, started fresh (never forked) in a process group of its own, in a sandbox.

    `folder` should be on tmpfs. It holds the host's log, copies of the files that it reads, and a folder for its socket
    and its frames. An idle host above `max_memory_bytes` is replaced. Compiled shaders are shared with other hosts of
    this user unless `shares_shaders` is off. Default: it is `confined_by` the strongest sandbox of this machine.
    """

    def __init__(
        self,
        folder: Path,
        confined_by: Sandbox | None = None,
        max_memory_bytes: int | None = None,
        *,
        shares_shaders: bool = True,
    ) -> None:
        self.folder, self.max_memory_bytes = folder, max_memory_bytes
        self.own_folder = folder / OWN_FOLDER
        self.socket_path = self.own_folder / "sock"
        self.log_path = folder / LOG_NAME
        self.sandbox = confined_by or strongest()
        self._shares_shaders = shares_shaders
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = START_TIMEOUT_SECONDS) -> None:
        """Start the process and wait until it listens. Raises BlenderCrashed, quoting the log, or BlenderTimeout."""
        home, temporary, shaders = self._folders()
        # -s and -P: an earlier host could have left Python code in its home, or where it was started.
        host = [sys.executable, "-s", "-P", "-m", "farm.blender.host", str(self.socket_path), str(self.own_folder)]
        rules = Rules(
            writable=[self.own_folder, shaders],
            memory_bytes=int(MAX_MEMORY_SHARE * memory.of_machine()),
            readable=[self.folder / INPUT_FOLDER],
            cpu_seconds=MAX_CPU_HOURS * 3600 * (os.cpu_count() or 1),
            may_use_gpu=True,
            parent=os.getpid(),  # ties the host's life to this process from the start, before bpy is imported
        )
        self.log_path.unlink(missing_ok=True)
        with self.log_path.open("ab") as log:  # in append mode, because a reader may truncate the log
            self._process = subprocess.Popen(
                self.sandbox.command(host, rules),
                env=clean_environment(home, temporary)
                | HOST_ENVIRONMENT
                | dict.fromkeys(SHADER_VARIABLES, str(shaders)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not self.socket_path.exists() or not self.is_idle():
            if self._process.poll() is not None:
                raise BlenderCrashed(f"Blender does not start: {self._last_log_line()}. Run `farm doctor` for details")
            if time.monotonic() > deadline:
                self.kill()
                raise BlenderTimeout(f"Blender did not start within {timeout:.0f} s")
            time.sleep(0.05)

    def _folders(self) -> tuple[Path, Path, Path]:
        """The host's home and its folder for temporary files, both empty, and the one for compiled shaders."""
        remove(self.own_folder)
        home, temporary = self.own_folder / "home", self.own_folder / "tmp"
        for folder in (home, temporary, self.folder / INPUT_FOLDER):
            folder.mkdir(parents=True, exist_ok=True)
        if self._shares_shaders:
            with contextlib.suppress(OSError, RuntimeError):  # this user has no home, or cannot write to it
                shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plinth-shaders"
                shared.mkdir(parents=True, exist_ok=True)
                return home, temporary, shared
        return home, temporary, home

    @property
    def pid(self) -> int | None:
        """The host's process ID; None when there is no process."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def ensure_ready(self) -> None:
        """Start the host, or replace it when it is dead, busy, or above its limits of shots and memory."""
        if self._process is None or self._process.poll() is not None or self._needs_replacement():
            self.kill()
            self.start()

    def is_idle(self) -> bool:
        """Whether the host responds within IDLE_TIMEOUT_SECONDS; a host that is rendering does not."""
        return self._status() is not None

    def _status(self) -> dict[str, Any] | None:
        try:
            with Blender(self.socket_path, IDLE_TIMEOUT_SECONDS) as blender:
                return blender.hello()
        except RenderFailed:
            return None

    def _needs_replacement(self) -> bool:
        status = self._status()
        if status is None:
            return True
        limit = self.max_memory_bytes  # with room for a model up to memory_limit, also on a small machine
        too_large = bool(limit and status["memory"] > min(limit, memory_limit(limit) // 2))
        if too_large or status["shots"] >= MAX_SHOTS:
            log.info("blender_replaced", shots=status["shots"], memory=status["memory"])
            return True
        return False

    def stop(self) -> None:
        """Kill the host, losing any frame in progress, and remove its files but the log."""
        self.kill()
        remove(self.own_folder)
        remove(self.folder / INPUT_FOLDER)

    def kill(self) -> None:
        """Kill the host and all processes it started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _last_log_line(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "the log is empty")
