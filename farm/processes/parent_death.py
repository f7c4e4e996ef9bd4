"""Ties the life of a process to its parent's."""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
PRCTL = ctypes.CDLL(None).prctl


def die_with_parent(parent: int) -> None:
    """Make Linux kill this process when the thread that started it ends. The setting survives an exec.

    `parent` is the process id of the parent. If it has ended before this call, this process is killed too.
    """
    PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
