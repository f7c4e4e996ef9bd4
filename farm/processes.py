"""Child processes that end with their parent, whatever ends it, and grandchildren that lose theirs.

As a program, `python -m farm.processes COMMAND...` becomes COMMAND after asking Linux for that.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def die_with_parent() -> None:
    """Ask Linux to kill this process when the thread that started it ends. Kept over an exec."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
    """Start a child that ends with this process, out of reach of the terminal's Ctrl-C."""
    words = [str(word) for word in command]
    return subprocess.Popen(
        [sys.executable, "-m", "farm.processes", *words],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def adopt_orphans() -> None:
    """Make this process the parent of every grandchild whose own parent dies, such as a killed work-horse's ffmpeg."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def bury_orphans(children: Collection[int], *, kill: bool = False) -> None:
    """Reap the adopted processes that have ended; with `kill`, end the others first. `children` are not touched."""
    for orphan in psutil.Process().children():
        if orphan.pid in children:
            continue
        with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
            if kill:
                orphan.kill()
            os.waitpid(orphan.pid, 0 if kill else os.WNOHANG)


if __name__ == "__main__":
    die_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])
