"""Client of the Blender host: starts the host process and sends it requests over its socket. Never imports bpy."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import structlog

from camera_paths import Pose
from farm.errors import (
    BadModel,
    BadTemplate,
    BlenderCrashed,
    BlenderTimeout,
    DiskFull,
    OpeningTimeout,
    OverBudget,
    RenderFailed,
)
from farm.processes import child_process
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
LOG_NAME = "blender.log"
# After each large product OpenBLAS' threads spin for a tenth of a second on cores that Blender could render on.
HOST_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


class BlenderHost:
    """A Blender host process, started fresh (never forked) in a process group of its own.

    `folder` holds its socket, its log and its frames, and should be on tmpfs. A Unix socket's path has at most 107
    bytes, so a host in a deep folder does not start. An idle host above `max_memory_bytes` is replaced.
    """

    def __init__(self, folder: Path, max_memory_bytes: int | None = None) -> None:
        self.folder, self.max_memory_bytes = folder, max_memory_bytes
        self.socket_path = folder / "sock"  # a socket has a path of at most 107 bytes
        self.log_path = folder / LOG_NAME
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it listens. Raises BlenderCrashed, quoting the log, or BlenderTimeout."""
        self.socket_path.unlink(missing_ok=True)
        # child_process ties the host's life to this process from the start, even before bpy is imported.
        host = [sys.executable, "-m", "farm.blender.host", str(self.socket_path), str(self.folder)]
        self.log_path.unlink(missing_ok=True)
        with self.log_path.open("ab") as log:  # in append mode, because a reader may truncate the log
            self._process = subprocess.Popen(
                child_process.command_ending_with_us(host),
                env=os.environ | HOST_ENVIRONMENT,
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
        too_large = bool(self.max_memory_bytes and status["memory"] > self.max_memory_bytes)
        if too_large or status["shots"] >= MAX_SHOTS:
            log.info("blender_replaced", shots=status["shots"], memory=status["memory"])
            return True
        return False

    def stop(self) -> None:
        """Kill the host, losing any frame in progress, and remove its socket."""
        self.kill()
        self.socket_path.unlink(missing_ok=True)

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
    """The seconds that drawing `frames` frames may take, from now on."""

    seconds: float
    frames: int
    has_drawn: bool = False
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        return self.began + self.seconds - time.monotonic()


def megabytes(file: Path) -> float:
    """The size of a file; 0 if there is none."""
    return file.stat().st_size / 1024**2 if file.exists() else 0.0


class Blender:
    """A connection to a host. `timeout` is the maximum number of seconds for one response, plus MODEL_SECONDS_PER_MB.

    `opening_timeout` is the same for opening a shot; default: `timeout`. Every call raises BadModel or BadTemplate when
    one of these is at fault, BlenderCrashed when the host dies, BlenderTimeout when it does not respond in time, and
    RenderFailed when Blender itself reports an error.
    """

    def __init__(self, socket_path: Path, timeout: float, *, opening_timeout: float | None = None) -> None:
        self._socket, self._timeout = socket.socket(socket.AF_UNIX), timeout
        self._opening_timeout = opening_timeout or timeout
        self._extra_seconds = 0.0  # for the size of the open model
        self._budget: Budget | None = None
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(socket_path))
        except (OSError, TimeoutError) as error:
            self._socket.close()
            raise BlenderCrashed(f"The Blender host cannot be reached: {error}") from error
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._lines.close()
        self._socket.close()

    def hang_up(self) -> None:
        """Close the connection from another thread: the call in progress fails immediately."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def limit(self, seconds: float, frames: int) -> None:
        """From now on all calls together may take `seconds`, meant for `frames` frames.

        Later they raise OverBudget, or BlenderTimeout if Blender has not drawn any.
        """
        self._budget = Budget(seconds, frames)

    def hello(self) -> dict[str, Any]:
        """Status of the host: Blender's `version`, the count of `shots` opened, the resident `memory` in bytes."""
        return self._call("hello")

    def gpu(self) -> dict[str, Any]:
        """EEVEE's OpenGL device: `renderer`, `vendor`, and whether it is `software`. May end the host."""
        return self._call("gpu")

    def check(self, template: Path) -> list[Violation]:
        """The violations of the template contract in a .blend; empty when the farm can use it."""
        return [Violation(**found) for found in self._call("check", template=str(template.absolute()))["violations"]]

    def open_shot(self, shot: ShotSetup) -> None:
        """Set the stage, and bake the ground's shadow if the shot has one."""
        self._open("open_shot", shot)

    def _open(self, call: str, shot: ShotSetup) -> dict[str, Any]:
        """Open a shot, and extend the timeout of all further calls by the size of its model."""
        self._extra_seconds = MODEL_SECONDS_PER_MB * megabytes(Path(shot.model_path))
        seconds = self._opening_timeout + self._extra_seconds
        self._send(call, **shot.to_wire())
        try:
            return self._receive(seconds)
        except BlenderTimeout as error:
            raise OpeningTimeout(seconds) from error

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
        try:
            yield view
        finally:
            for leftover in Path(view.subject.path).parent.glob(f"frame-{view.number:06d}*"):
                leftover.unlink()

    def _finished_frame(self) -> Iterator[Frame]:
        frame = Frame.from_wire(self._receive_drawn())
        try:
            yield frame
        finally:
            for leftover in Path(frame.subject.path).parent.glob(f"frame-{frame.number:06d}*"):
                leftover.unlink()

    def _receive_drawn(self) -> dict[str, Any]:
        drawn = self._receive(self._timeout + self._extra_seconds)
        if self._budget:
            self._budget.has_drawn = True
        return drawn

    def _call(self, name: str, **arguments: Any) -> dict[str, Any]:
        self._send(name, **arguments)
        return self._receive(self._timeout)

    def _send(self, name: str, **arguments: Any) -> None:
        try:
            self._socket.sendall(json.dumps({"call": name, **arguments}).encode() + b"\n")
        except OSError as error:
            raise BlenderCrashed from error

    def _receive(self, seconds: float) -> dict[str, Any]:
        """The response, within `seconds` and the budget."""
        left = self._budget.left if self._budget else seconds
        try:
            self._socket.settimeout(max(min(seconds, left), MIN_TIMEOUT_SECONDS))
            line = self._lines.readline()
        except TimeoutError as error:
            if self._budget and self._budget.has_drawn and self._budget.left <= 0:
                raise OverBudget(self._budget.seconds, self._budget.frames) from error
            raise BlenderTimeout from error
        except (OSError, ValueError) as error:
            raise BlenderCrashed from error
        if not line.endswith(b"\n"):
            raise BlenderCrashed
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
        raise RenderFailed(f"Blender could not render this model: {problem['message']}")
