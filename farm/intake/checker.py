"""Checks models in confined processes, and so outside the process that answers requests."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from farm.errors import InvalidFormat
from farm.intake import confined_process
from farm.intake.checked_model import CheckedModel
from farm.settings import ModelLimits

MODULE = "farm.intake.check_server"
TIMEOUT_SECONDS = 60  # a model of 100 MB with many textures takes a few
MAX_MEMORY_MB = 4096
_EXIT_CODE = re.compile(rb"-?\d{1,3}")


class Checker:
    """A client of `farm.intake.check_server`, which it starts when it is first needed, and again if that has ended."""

    def __init__(
        self,
        command: Sequence[str] = (sys.executable, "-I", "-m", MODULE),
        *,
        timeout_seconds: int = TIMEOUT_SECONDS,
    ) -> None:
        self._command, self._timeout_seconds = command, timeout_seconds
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    async def check(self, path: Path, name: str, limits: ModelLimits) -> CheckedModel:
        """Like `check_model`, in a process of its own with limits of memory and time. Raises InvalidFormat."""
        request = {
            "name": name,
            "limits": {field: getattr(limits, field) for field in ModelLimits.model_fields},
            "memory_mb": MAX_MEMORY_MB,
            "cpu_seconds": self._timeout_seconds,
        }
        ours, theirs = socket.socketpair()
        with ours:
            with theirs, path.open("rb") as file:
                self._send(json.dumps(request).encode(), [file.fileno(), theirs.fileno()])
            ours.setblocking(False)
            try:
                output = await asyncio.wait_for(_received(ours), self._timeout_seconds)
            except TimeoutError:
                raise InvalidFormat(confined_process.too_slow(self._timeout_seconds)) from None
        output, _, status = output.rpartition(b"\n")
        exit_code = int(status) if _EXIT_CODE.fullmatch(status) else -signal.SIGKILL  # the server, too
        if exit_code == -signal.SIGXCPU:
            raise InvalidFormat(confined_process.too_slow(self._timeout_seconds))
        return CheckedModel(**confined_process.facts_of(MODULE, exit_code, output, MAX_MEMORY_MB))

    def _send(self, message: bytes, files: list[int]) -> None:
        with self._lock:
            if self._control is None:
                self._control = self._start()
            try:
                socket.send_fds(self._control, [message], files)
            except OSError:  # the server was killed
                self.close()
                self._control = self._start()
                socket.send_fds(self._control, [message], files)

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                self._command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=confined_process.ENVIRONMENT | {"HOME": os.devnull},
                start_new_session=True,  # without the terminal's Ctrl-C: it ends with the socket
            )
        return ours

    def close(self) -> None:
        """End the server, and checks that still run; another check starts it again."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.wait()
            self._process = None


async def _received(answer: socket.socket) -> bytes:
    """All that comes until the other side ends, at most confined_process.MAX_REPORT_BYTES."""
    loop, received = asyncio.get_running_loop(), bytearray()
    with contextlib.suppress(ConnectionResetError):
        while len(received) < confined_process.MAX_REPORT_BYTES and (part := await loop.sock_recv(answer, 64 * 1024)):
            received += part
    return bytes(received)


_checker = Checker()


async def check_upload(path: Path, name: str, limits: ModelLimits) -> CheckedModel:
    """Like `check_model`, for a client's file: in a process with limits of memory and time. Raises InvalidFormat."""
    return await _checker.check(path, name, limits)
