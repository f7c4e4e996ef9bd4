"""Memory: how much this machine has, how much a process uses, and a watch that ends one which uses too much."""

import contextlib
import os
import signal
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
WATCH_SECONDS = 0.1  # between two looks; a process that fills memory as fast as it can gains half a gigabyte meanwhile


def of_machine() -> int:
    """Bytes of memory of this machine, or of this container."""
    total = int(psutil.virtual_memory().total)
    limit = CGROUP_LIMIT.read_text().strip() if CGROUP_LIMIT.exists() else "max"
    return total if limit == "max" else min(total, int(limit))


def of_process(pid: int) -> int:
    """Resident bytes of a process; 0 for one that has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


class MemoryWatch:
    """Kills a process that comes to hold more than `max_bytes`, for as long as the block runs."""

    def __init__(self, pid: int, max_bytes: int) -> None:
        self.max_bytes, self.has_killed = max_bytes, False
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            if of_process(self._pid) > self.max_bytes:
                self.has_killed = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
                return
