"""Child processes that end with their parent, whatever ends it.

As a program, `python -m farm.processes COMMAND...` becomes COMMAND after asking Linux for that.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


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


if __name__ == "__main__":
    die_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])
