"""The other side of the door: starting a Blender host, and talking to it. No bpy here."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from camera_paths import Pose
from farm.errors import BadModel, BadTemplate, BlenderCrashed, BlenderTimeout, DiskFull, RenderFailed
from farm.processes import child_process
from farm.scene.drawn_view import DrawnView, Opened
from farm.scene.shot import Frame, ShotSetup
from farm.scene.views import Direction
from farm.templates.contract import BrokenPromise

log = structlog.get_logger()

START_TIMEOUT = 120.0  # seconds until a started host must listen; importing bpy on a cold disk is slow
IDLE_TIMEOUT = 2.0  # seconds within which an idle host answers; deleting a render takes that long to stop a frame
MOST_SHOTS = 200  # on one host: whatever Blender keeps of each, a fresh one keeps none
STOP_TIMEOUT = 5.0
LOG_NAME = "blender.log"
# After each large product OpenBLAS' threads spin for a tenth of a second, on the cores that Blender wants to draw on.
QUIET = {"OPENBLAS_NUM_THREADS": "1"}


class BlenderHost:
    """A Blender host process, started fresh (never forked) in a process group of its own.

    `folder` holds its socket, its log and its frames, and should lie on tmpfs. A Unix socket's path may have 107 bytes,
    so a deep folder is refused by the system. `most_memory` is bytes that an idle host may hold.
    """

    def __init__(self, folder: Path, most_memory: int | None = None) -> None:
        self.folder, self.most_memory = folder, most_memory
        self.socket_path = folder / "blender.sock"
        self.log_path = folder / LOG_NAME
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it listens. Raises BlenderCrashed, quoting the log, or BlenderTimeout."""
        self.socket_path.unlink(missing_ok=True)
        # By way of farm.processes.child_process: it ends with this process from the start, not once bpy is imported.
        host = [sys.executable, "-m", "farm.blender.host", str(self.socket_path), str(self.folder)]
        self.log_path.unlink(missing_ok=True)
        with self.log_path.open("ab") as log:  # to append, so that whoever reads it may empty it meanwhile
            self._process = subprocess.Popen(
                child_process.bound(host),
                env=os.environ | QUIET,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self.socket_path.exists() or not self.is_idle():
            if self._process.poll() is not None:
                raise BlenderCrashed(f"Blender does not start: {self._last_words()}. `farm doctor` tells more")
            if time.monotonic() > deadline:
                self.kill()
                raise BlenderTimeout(f"Blender did not start within {START_TIMEOUT:.0f} s")
            time.sleep(0.05)

    @property
    def pid(self) -> int | None:
        """The process, as long as there is one."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def ensure_ready(self) -> None:
        """Keep a host that is alive, idle and not worn out; replace any other by a fresh one."""
        if self._process is None or self._process.poll() is not None or self._is_worn_out():
            self.kill()
            self.start()

    def is_idle(self) -> bool:
        """Whether the host answers at once. One that still draws for somebody does not."""
        return self._greet() is not None

    def _greet(self) -> dict[str, Any] | None:
        try:
            with Blender(self.socket_path, IDLE_TIMEOUT) as blender:
                return blender.hello()
        except RenderFailed:
            return None

    def _is_worn_out(self) -> bool:
        facts = self._greet()
        if facts is None:
            return True
        worn = facts["shots"] >= MOST_SHOTS or bool(self.most_memory and facts["memory"] > self.most_memory)
        if worn:
            log.info("a fresh Blender", shots=facts["shots"], memory=facts["memory"])
        return worn

    def stop(self) -> None:
        """End the host; what it was drawing is lost."""
        self.kill()
        self.socket_path.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the host and everything it started, at once."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _last_words(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "it left no message")


class Blender:
    """A conversation with a host. `timeout` is the number of seconds that one answer may take.

    Every call raises BadModel or BadTemplate when one of these is at fault, BlenderCrashed when the host dies,
    BlenderTimeout when it does not answer in time, and RenderFailed when Blender itself reports an error.
    """

    def __init__(self, socket_path: Path, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(socket_path))
        except (OSError, TimeoutError) as error:
            self._socket.close()
            raise BlenderCrashed(f"Blender is not there: {error}") from error
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._lines.close()
        self._socket.close()

    def hang_up(self) -> None:
        """End the conversation from another thread: the call under way fails at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def hello(self) -> dict[str, Any]:
        """Facts about the host: Blender's `version`, the `shots` opened so far, the bytes of `memory` held."""
        return self._call("hello")

    def gpu(self) -> dict[str, Any]:
        """What EEVEE draws on: `renderer`, `vendor`, and whether that is `software`. May end the host."""
        return self._call("gpu")

    def check(self, template: Path) -> list[BrokenPromise]:
        """Everything that is wrong with a .blend as a template; nothing, where the farm can use it."""
        return [BrokenPromise(**broken) for broken in self._call("check", template=str(template.absolute()))["broken"]]

    def open_shot(self, shot: ShotSetup) -> None:
        """Set the stage, which includes baking the ground's shadow where the shot has one."""
        self._call("open_shot", **shot.to_wire())

    def frames(self, poses: Iterable[tuple[int, Pose]]) -> Iterator[Frame]:
        """Draw the open shot's frames, one after the other.

        Blender is asked for the next frame before this one is handed out, so that it draws while the caller works.
        The frame's file is removed when the caller comes back for the next.
        """
        asked = 0
        for number, pose in poses:
            self._ask("draw", frame=number, **asdict(pose))
            asked += 1
            if asked > 1:
                yield from self._finished_frame()
        if asked:
            yield from self._finished_frame()

    def open_views(self, shot: ShotSetup) -> Opened:
        """Set the stage for a dataset."""
        return Opened(**self._call("open_views", **shot.to_wire()))

    def views(self, directions: Iterable[tuple[int, Direction]]) -> Iterator[DrawnView]:
        """Draw the open dataset's views, ahead by one and removed after use like `frames`."""
        asked = 0
        for number, where in directions:
            self._ask("draw_view", view=number, **asdict(where))
            asked += 1
            if asked > 1:
                yield from self._finished_view()
        if asked:
            yield from self._finished_view()

    def _finished_view(self) -> Iterator[DrawnView]:
        view = DrawnView.from_wire(self._answer())
        try:
            yield view
        finally:
            for leftover in Path(view.subject.path).parent.glob(f"frame-{view.number:06d}*"):
                leftover.unlink()

    def _finished_frame(self) -> Iterator[Frame]:
        frame = Frame.from_wire(self._answer())
        try:
            yield frame
        finally:
            for leftover in Path(frame.subject.path).parent.glob(f"frame-{frame.number:06d}*"):
                leftover.unlink()

    def _call(self, name: str, **arguments: Any) -> dict[str, Any]:
        self._ask(name, **arguments)
        return self._answer()

    def _ask(self, name: str, **arguments: Any) -> None:
        try:
            self._socket.sendall(json.dumps({"call": name, **arguments}).encode() + b"\n")
        except OSError as error:
            raise BlenderCrashed from error

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except TimeoutError as error:
            raise BlenderTimeout from error
        except (OSError, ValueError) as error:
            raise BlenderCrashed from error
        if not line.endswith(b"\n"):
            raise BlenderCrashed
        answer: dict[str, Any] = json.loads(line)
        if "ok" in answer:
            return dict(answer["ok"])
        problem = answer["error"]
        if problem["code"] == "bad_model":
            raise BadModel(problem["message"])
        if problem["code"] == "bad_template":
            raise BadTemplate(problem["message"])
        if problem["code"] == "no_room":
            raise DiskFull
        raise RenderFailed(f"Blender could not render this model: {problem['message']}")
