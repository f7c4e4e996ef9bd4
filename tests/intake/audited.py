"""Runs a module as `python -I audited.py -m MODULE ARGUMENTS...`, and ends it when it does what no check should do.

That is: a socket that leaves the machine, a file outside of the module's own, or another program.
"""

import os
import runpy
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

VIOLATION_EXIT_CODE = 99
PROJECT = Path(__file__).parents[2]
READABLE = [os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, *sys.path, str(PROJECT)) if path]
SYSTEM = (
    "/proc/self/",
    "/proc/stat",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/dev/urandom",
    "/sys/",
    "/lib",
    "/usr/lib",
    "/usr/share",
)
BLENDER = "farm.blender.obj_to_glb"


def _violation(event: str, *arguments: object) -> NoReturn:
    os.write(2, f"\naudit: {event} {arguments!a}\n".encode())
    os._exit(VIOLATION_EXIT_CODE)


def _open(path: Any, _mode: Any, flags: int) -> None:
    if isinstance(path, int) or flags & os.O_PATH:  # which opens no content: Landlock's rules name files like this
        return
    name = os.fsdecode(path)
    if name == "/proc/self/oom_score_adj":
        return
    if not name.startswith("/proc/self/"):  # whose links are the files that the process was given
        name = os.path.realpath(name)
    if name.startswith((tempfile.gettempdir(), "/dev/null")):
        return
    if flags & (os.O_WRONLY | os.O_RDWR) or not name.startswith((*READABLE, *SYSTEM)):
        _violation("open", path, flags)


def _start(program: Any, arguments: Any, *_: object) -> None:
    if list(map(os.fsdecode, arguments))[1:4] != ["-I", "-m", BLENDER]:
        _violation("subprocess.Popen", program, arguments)


def _socket(_self: object, family: int, *_: object) -> None:
    if family not in (socket.AF_UNIX, -1):  # -1: made of a descriptor that the process was given
        _violation("socket", family)


CHECKS: dict[str, Callable[..., None]] = {
    "open": _open,
    "subprocess.Popen": _start,
    "socket.__new__": _socket,
    **{
        event: lambda *arguments, event=event: _violation(event, *arguments)
        for event in (
            *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"),
            *("os.system", "os.exec", "os.posix_spawn", "pty.spawn", "os.rename", "os.symlink", "os.link"),
        )
    },
}


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if check := CHECKS.get(event):
        check(*arguments)


if __name__ == "__main__":
    tempfile.gettempdir()
    _, _, module, *rest = [argument for argument in sys.argv if argument != "-I"]
    sys.argv = [module, *rest]
    sys.addaudithook(_hook)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
