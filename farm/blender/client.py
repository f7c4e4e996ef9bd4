"""The connection to a Blender host: requests and responses over its socket. Never imports bpy."""

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

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
from farm.processes.removal import remove_files
from farm.processes.unix_socket import short_path
from farm.scene.drawn_view import DrawnView, Opened
from farm.scene.shot import ENGINES, Engine, Frame, ShotSetup
from farm.templates.contract import Violation

if TYPE_CHECKING:
    from farm.scene.camera import Array  # needs numpy, which the API does without

MODEL_SECONDS_PER_MB = 10.0  # that a model's size adds to the timeout; 55,000 triangles per MB take 1 s on two cores
MIN_TIMEOUT_SECONDS = 0.01  # a socket with a timeout of 0 does not wait at all
MAX_RESPONSE_BYTES, READ_BYTES = 16 * 1024**2, 64 * 1024
OUT_OF_MEMORY = (b"bad_alloc", b"alloc returns null")
MAX_LOG_BYTES = 8192  # of the host's log, from the end
INPUT_FOLDER, LOG_NAME = "input", "blender.log"  # in a host's folder, beside its own


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
        self._read = bytearray()  # of the next response
        self._watch = MemoryWatch(_peer(self._socket), max_memory_bytes) if max_memory_bytes else None

    def __enter__(self) -> Self:
        if self._watch:
            self._watch.__enter__()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._watch:
            self._watch.__exit__()
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
        """EEVEE's OpenGL device: `renderer`, `vendor`, `driver`, and whether it is `software`. May end the host."""
        return self._call("gpu")

    def cycles_gpus(self) -> dict[Engine, str]:
        """The engines by which Cycles may draw on a GPU, each with the GPU's name. May end the host."""
        found = self._call("cycles_gpus")
        return {engine: str(found[engine]) for engine in ENGINES if engine in found}

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

    def views(self, poses: Iterable["tuple[int, Array]"]) -> Iterator[DrawnView]:
        """Draw the open dataset's views, one ahead of the caller and removed after use, as in `frames`."""
        requested = 0
        for number, pose in poses:
            self._send("draw_view", view=number, pose=pose.tolist())
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
        remove_files(self._folder.glob(f"frame-{number:06d}*"))

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
        left = min(seconds, self._budget.left) if self._budget else seconds
        try:
            line = self._read_line(time.monotonic() + left)
        except TimeoutError as error:
            if self._budget and self._budget.has_begun and self._budget.left <= 0:
                raise OverBudget(self._budget.seconds, self._budget.frames) from error
            raise BlenderTimeout from error
        except (OSError, ValueError) as error:
            raise self._crash() from error
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

    def _read_line(self, deadline: float) -> bytes:
        """The next line, without its end. Raises TimeoutError at the deadline, also while the line still arrives."""
        searched = 0
        while (end := self._read.find(b"\n", searched)) < 0:
            searched = len(self._read)
            self._socket.settimeout(max(deadline - time.monotonic(), MIN_TIMEOUT_SECONDS))
            received = self._socket.recv(READ_BYTES)
            if time.monotonic() > deadline + MIN_TIMEOUT_SECONDS:
                raise TimeoutError
            if not received or searched > MAX_RESPONSE_BYTES:
                raise self._crash()
            self._read += received
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line


def _peer(connection: socket.socket) -> int:
    """The process id of the process that listens at the other end."""
    size = struct.calcsize("3i")
    process, _user, _group = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(process)
