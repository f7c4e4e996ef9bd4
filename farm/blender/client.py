"""Client of the Blender host: starts the host process and sends it requests over its socket. Never imports bpy."""

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import structlog

from camera_paths import Pose
from farm.blender.inputs import staged
from farm.errors import (
    BadModel,
    BadTemplate,
    BlenderCrashed,
    BlenderTimeout,
    DiskFull,
    ModelTooLarge,
    OpeningTimeout,
    OverBudget,
    RenderFailed,
)
from farm.processes import memory
from farm.processes.memory import MemoryWatch
from farm.processes.sandbox import Rules, Sandbox, clean_environment, strongest
from farm.processes.unix_socket import short_path
from farm.scene.drawn_view import DrawnView, Opened
from farm.scene.shot import Frame, ShotSetup
from farm.templates.contract import Violation

if TYPE_CHECKING:
    from farm.scene.views import Direction  # needs numpy, which the API does without

log = structlog.get_logger()

START_TIMEOUT_SECONDS = 120.0  # until a started host listens; importing bpy from a cold disk is slow
IDLE_TIMEOUT_SECONDS = 2.0  # for the response of an idle host; stopping the frame of a deleted render takes this long
MODEL_SECONDS_PER_MB = 10.0  # that a model's size adds to the timeout; 55,000 triangles per MB take 1 s on two cores
MIN_TIMEOUT_SECONDS = 0.01  # a socket with a timeout of 0 does not wait at all
MAX_SHOTS = 200  # of one host process, to bound memory that Blender leaks
MAX_RESPONSE_BYTES = 16 * 1024**2
OUT_OF_MEMORY, MAX_LOG_BYTES = (b"bad_alloc", b"alloc returns null"), 8192
MAX_MEMORY_SHARE = 0.8  # of the machine, for one host
MAX_CPU_HOURS = 1000  # of one host, per core: more than its shots can take
# In a host's folder. It may write to the first only, where its home and its temporary files are, too.
OWN_FOLDER, INPUT_FOLDER, LOG_NAME = "blender", "input", "blender.log"
# After each large product OpenBLAS' threads spin for a tenth of a second on cores that Blender could render on.
HOST_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
# The drivers' caches of compiled shaders (Mesa, NVIDIA): EEVEE's first frame takes half a minute on the CPU without.
SHADER_VARIABLES = ("MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH", "CUDA_CACHE_PATH")


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

    def start(self) -> None:
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
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self.socket_path.exists() or not self.is_idle():
            if self._process.poll() is not None:
                raise BlenderCrashed(f"Blender does not start: {self._last_log_line()}. Run `farm doctor` for details")
            if time.monotonic() > deadline:
                self.kill()
                raise BlenderTimeout(f"Blender did not start within {START_TIMEOUT_SECONDS:.0f} s")
            time.sleep(0.05)

    def _folders(self) -> tuple[Path, Path, Path]:
        """The host's home and its folder for temporary files, both empty, and the one for compiled shaders."""
        shutil.rmtree(self.own_folder, ignore_errors=True)
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
        shutil.rmtree(self.own_folder, ignore_errors=True)
        shutil.rmtree(self.folder / INPUT_FOLDER, ignore_errors=True)

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


@dataclass
class Budget:
    """The seconds that drawing `frames` frames may take, of which earlier attempts have `spent` some.

    Until it `has_begun`, Blender's silence says more of the model than of the time.
    """

    seconds: float
    frames: int
    spent: float
    has_begun: bool
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        return self.began + self.seconds - self.spent - time.monotonic()


def megabytes(file: Path) -> float:
    """The size of a file; 0 if there is none."""
    return file.stat().st_size / 1024**2 if file.exists() else 0.0


class Blender:
    """A connection to a host. `timeout` is the maximum number of seconds for one response, plus MODEL_SECONDS_PER_MB.

    `opening_timeout` is the same for opening a shot; default: `timeout`. A host that comes to hold more than
    `max_memory_bytes` inside the block is killed. Every call raises BadModel or BadTemplate when one of these is at
    fault, ModelTooLarge when the host was killed for its memory, BlenderCrashed when it dies, BlenderTimeout when it
    does not respond in time, and RenderFailed when Blender reports an error.
    """

    def __init__(
        self,
        socket_path: Path,
        timeout: float,
        max_memory_bytes: int | None = None,
        *,
        opening_timeout: float | None = None,
    ) -> None:
        self._folder, self._input_folder = socket_path.parent, socket_path.parent.parent / INPUT_FOLDER
        self._socket, self._timeout = socket.socket(socket.AF_UNIX), timeout
        self._opening_timeout = opening_timeout or timeout
        self._extra_seconds = 0.0  # for the size of the open model
        self._budget: Budget | None = None
        self._socket.settimeout(timeout)
        try:
            with short_path(socket_path) as path:
                self._socket.connect(path)
        except (OSError, TimeoutError) as error:
            self._socket.close()
            raise BlenderCrashed(f"The Blender host cannot be reached: {error}") from error
        self._lines = self._socket.makefile("rb")
        self._watch = MemoryWatch(_peer(self._socket), max_memory_bytes) if max_memory_bytes else None

    def __enter__(self) -> Self:
        if self._watch:
            self._watch.__enter__()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._watch:
            self._watch.__exit__()
        self._lines.close()
        self._socket.close()

    def hang_up(self) -> None:
        """Close the connection from another thread: the call in progress fails immediately."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def limit(self, seconds: float, frames: int, *, spent: float = 0.0) -> None:
        """From now on all calls together may take `seconds`, of which `spent` are over, meant for `frames` frames.

        Later they raise OverBudget, or BlenderTimeout if none of the budget was spent and Blender has not drawn any.
        """
        self._budget = Budget(seconds, frames, spent, has_begun=spent > 0)

    def hello(self) -> dict[str, Any]:
        """Status of the host: Blender's `version`, the count of `shots` opened, the resident `memory` in bytes."""
        return self._call("hello")

    def gpu(self) -> dict[str, Any]:
        """EEVEE's OpenGL device: `renderer`, `vendor`, and whether it is `software`. May end the host."""
        return self._call("gpu")

    def check(self, template: Path) -> list[Violation]:
        """The violations of the template contract in a .blend; empty when the farm can use it."""
        copy = staged(template.absolute(), self._input_folder / "template")
        return [Violation(**found) for found in self._call("check", template=str(copy))["violations"]]

    def open_shot(self, shot: ShotSetup) -> None:
        """Set the stage, and bake the ground's shadow if the shot has one."""
        self._open("open_shot", shot)

    def _open(self, call: str, shot: ShotSetup) -> dict[str, Any]:
        """Open a shot, and extend the timeout of all further calls by the size of its model."""
        self._extra_seconds = MODEL_SECONDS_PER_MB * megabytes(Path(shot.model_path))
        seconds = self._opening_timeout + self._extra_seconds
        self._send(call, **self._staged(shot).to_wire())
        try:
            return self._receive(seconds)
        except BlenderTimeout as error:
            raise OpeningTimeout(seconds) from error

    def _staged(self, shot: ShotSetup) -> ShotSetup:
        """The shot with its files where the host may read them."""
        model = staged(Path(shot.model_path), self._input_folder / "model")
        template = staged(Path(shot.template), self._input_folder / "template")
        return replace(shot, model_path=str(model), template=str(template))

    def frames(self, poses: Iterable[tuple[int, Pose]]) -> Iterator[Frame]:
        """Draw the open shot's frames in order.

        The next frame is requested before this one is yielded, so that Blender draws while the caller works. A frame's
        files are removed when the caller requests the next.
        """
        requested = 0
        for number, pose in poses:
            self._send("draw_frame", frame=number, **asdict(pose))
            requested += 1
            if requested > 1:
                yield from self._finished_frame()
        if requested:
            yield from self._finished_frame()

    def open_views(self, shot: ShotSetup) -> Opened:
        """Set the stage for a dataset."""
        return Opened(**self._open("open_views", shot))

    def views(self, directions: Iterable["tuple[int, Direction]"]) -> Iterator[DrawnView]:
        """Draw the open dataset's views, one ahead of the caller and removed after use, as in `frames`."""
        requested = 0
        for number, direction in directions:
            self._send("draw_view", view=number, **asdict(direction))
            requested += 1
            if requested > 1:
                yield from self._finished_view()
        if requested:
            yield from self._finished_view()

    def _finished_view(self) -> Iterator[DrawnView]:
        view = DrawnView.from_wire(self._receive_drawn())
        self._check_paths(view.subject.path, view.passes.path)
        try:
            yield view
        finally:
            self._remove_frame(view.number)

    def _finished_frame(self) -> Iterator[Frame]:
        frame = Frame.from_wire(self._receive_drawn())
        self._check_paths(*(part.path for part in (frame.subject, frame.reflection, frame.shadow) if part))
        try:
            yield frame
        finally:
            self._remove_frame(frame.number)

    def _check_paths(self, *paths: str) -> None:
        """Raises BlenderCrashed for files outside the host's folder: we would read what the host may not read."""
        for path in map(Path, paths):
            if path.parent != self._folder:
                raise BlenderCrashed(f"The Blender host answered with a file that is not its own: {path.name}")

    def _remove_frame(self, number: int) -> None:
        for leftover in self._folder.glob(f"frame-{number:06d}*"):
            leftover.unlink()

    def _receive_drawn(self) -> dict[str, Any]:
        drawn = self._receive(self._timeout + self._extra_seconds)
        if self._budget:
            self._budget.has_begun = True
        return drawn

    def _call(self, name: str, **arguments: Any) -> dict[str, Any]:
        self._send(name, **arguments)
        return self._receive(self._timeout)

    def _send(self, name: str, **arguments: Any) -> None:
        try:
            self._socket.sendall(json.dumps({"call": name, **arguments}).encode() + b"\n")
        except OSError as error:
            raise self._crash() from error

    def _crash(self) -> RenderFailed:
        """Why the host is gone."""
        if self._watch and (self._watch.has_killed or self._was_out_of_memory()):
            return ModelTooLarge(self._watch.max_bytes)
        return BlenderCrashed()

    def _was_out_of_memory(self) -> bool:
        """Whether the kernel refused the host an allocation, by the end of its log."""
        try:
            with (self._folder.parent / LOG_NAME).open("rb") as log:
                log.seek(max(log.seek(0, os.SEEK_END) - MAX_LOG_BYTES, 0))
                end = log.read()
        except OSError:
            return False
        return any(words in end for words in OUT_OF_MEMORY)

    def _receive(self, seconds: float) -> dict[str, Any]:
        """The response, within `seconds` and the budget."""
        left = self._budget.left if self._budget else seconds
        try:
            self._socket.settimeout(max(min(seconds, left), MIN_TIMEOUT_SECONDS))
            line = self._lines.readline(MAX_RESPONSE_BYTES)
        except TimeoutError as error:
            if self._budget and self._budget.has_begun and self._budget.left <= 0:
                raise OverBudget(self._budget.seconds, self._budget.frames) from error
            raise BlenderTimeout from error
        except (OSError, ValueError) as error:
            raise self._crash() from error
        if not line.endswith(b"\n"):
            raise self._crash()
        response: dict[str, Any] = json.loads(line)
        if "ok" in response:
            return dict(response["ok"])
        problem = response["error"]
        if problem["code"] == "bad_model":
            raise BadModel(problem["message"])
        if problem["code"] == "bad_template":
            raise BadTemplate(problem["message"])
        if problem["code"] == "no_room":
            raise DiskFull
        if problem["code"] == "no_memory":
            raise ModelTooLarge(self._watch.max_bytes if self._watch else memory.of_machine())
        raise RenderFailed(f"Blender could not render this model: {problem['message']}")


def _peer(connection: socket.socket) -> int:
    """The process id of the process that listens at the other end."""
    size = struct.calcsize("3i")
    process, _user, _group = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(process)
