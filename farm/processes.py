"""Child processes that end with their parent, whatever ends it."""

import ctypes
import signal

PR_SET_PDEATHSIG = 1


def die_with_parent(with_signal: signal.Signals = signal.SIGKILL) -> None:
    """Ask Linux to send this process a signal when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, with_signal)
