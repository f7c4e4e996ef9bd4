"""Child processes that end with their parent, however it ends, and cannot read it; and orphaned grandchildren.

`python -m farm.processes.child_process PARENT COMMAND...` runs COMMAND as a child that ends with process PARENT.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import psutil

from farm.processes.parent_death import PRCTL
from farm.processes.parent_death import die_with_parent as die_with_parent

PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36


def command_ending_with_us(command: Sequence[str | Path]) -> list[str]:
    """The command line that runs `command` as a child that ends with this process."""
    return [sys.executable, "-m", "farm.processes.child_process", str(os.getpid()), *map(str, command)]


def start(command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
    """Start a child that ends with this process, and does not receive the terminal's Ctrl-C."""
    return subprocess.Popen(command_ending_with_us(command), stdin=subprocess.DEVNULL, start_new_session=True)


def close_to_others() -> None:
    """Keep other processes of this user, such as children, from this one's memory, environment and open files in /proc.

    Root can still read them. A child is closed like this, too, until it executes a program.
    """
    PRCTL(PR_SET_DUMPABLE, 0, 0, 0, 0)


def adopt_orphans() -> None:
    """Make this process the parent of every grandchild whose own parent dies, such as a killed work-horse's ffmpeg."""
    PRCTL(PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans(children: Collection[int | None], *, kill: bool = False) -> None:
    """Reap adopted processes that have ended; with `kill`, kill the others first. `children` are not touched."""
    for orphan in psutil.Process().children():
        if orphan.pid in children:
            continue
        with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
            if kill:
                orphan.kill()
            os.waitpid(orphan.pid, 0 if kill else os.WNOHANG)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
