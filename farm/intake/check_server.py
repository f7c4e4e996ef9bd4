"""Forks a process for each check of a model, from one that has imported what a check needs: it takes milliseconds.

Run by `farm.intake.checker`. A message on the control socket, which is stdin, is a request: JSON, with two open files
(the model, and a socket for the answer). The answer is what the check writes to stderr, then a line with its exit code.
The process ends when the control socket is closed, and a check is killed when the socket of its answer is.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import traceback
from dataclasses import dataclass
from typing import Any, NoReturn

from farm.intake import confined_process
from farm.intake.check import check_model
from farm.processes.child_process import die_with_parent
from farm.settings import ModelLimits

MAX_REQUEST_BYTES = 64 * 1024


@dataclass(frozen=True)
class _Check:
    """A running check."""

    process: int
    answer: socket.socket


def serve(control: socket.socket) -> None:
    """Start a process for each request until the control socket is closed."""
    gc.freeze()  # the collector of a forked process would otherwise copy all of these objects' pages
    events = select.poll()
    events.register(control, select.POLLIN)
    ended: dict[int, _Check] = {}  # by the descriptor that is readable when the process has ended
    hung_up: dict[int, int] = {}  # that descriptor, by the one of the answer
    while True:
        for descriptor, _ in events.poll():
            if descriptor == control.fileno():
                message, files, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 2)
                if not message:
                    return
                check, watch = _start(json.loads(message), *files)
                ended[watch] = check
                hung_up[check.answer.fileno()] = watch
                events.register(watch, select.POLLIN)
                events.register(check.answer, 0)  # only the hang-up is reported
            elif descriptor in ended:
                check = ended.pop(descriptor)
                if hung_up.pop(check.answer.fileno(), None):
                    events.unregister(check.answer)
                events.unregister(descriptor)
                os.close(descriptor)
                _finish(check)
            elif descriptor in hung_up:
                signal.pidfd_send_signal(hung_up.pop(descriptor), signal.SIGKILL)
                events.unregister(descriptor)


def _start(request: dict[str, Any], model: int, answer: int) -> tuple[_Check, int]:
    server = os.getpid()
    process = os.fork()
    if process == 0:
        try:
            os.dup2(model, 0)
            os.dup2(answer, 1)
            os.dup2(answer, 2)
            os.closerange(3, confined_process.MAX_OPEN_FILES)  # other checks' files
            _check(server, request)
        finally:
            os._exit(1)  # whatever happens, never back into the server's loop
    os.close(model)
    return _Check(process, socket.socket(fileno=answer)), os.pidfd_open(process)


def _check(server: int, request: dict[str, Any]) -> NoReturn:
    die_with_parent(server)
    confined_process.confine(request["memory_mb"], request["cpu_seconds"])

    def work() -> dict[str, Any]:
        checked = check_model(confined_process.SOURCE, request["name"], ModelLimits(**request["limits"]))
        return {"format": checked.format, "clips": checked.clips, "packed": checked.packed}

    try:
        confined_process.report(work)
    finally:
        traceback.print_exc()  # which the caller logs


def _finish(check: _Check) -> None:
    _, status = os.waitpid(check.process, 0)
    with check.answer, contextlib.suppress(OSError):  # hung up
        check.answer.sendall(b"\n%d" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    serve(socket.socket(fileno=0))
