"""Least-recently-used eviction for a cache folder on disk that several processes share.

Each file or folder directly in the cache folder is an entry. The time of its last use is its modification time.
"""

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """A cache entry; sorts by its last use, in seconds since the epoch."""

    last_used: float
    size: int
    path: Path


def mark_used(path: Path) -> bool:
    """Record a use of an entry now. False when there is no such entry, or it cannot be changed."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def evict(folder: Path, budget: int, *, min_age_seconds: float = 0.0) -> None:
    """Remove the least recently used entries until the rest has at most `budget` bytes.

    Entries used within the last `min_age_seconds` stay, even over budget. Temporary files that killed processes have
    left are entries, or parts of entries, like all others.
    """
    entries = sorted(_entries(folder))
    total = sum(entry.size for entry in entries)
    cutoff = time.time() - min_age_seconds
    for entry in entries:
        if total <= budget or entry.last_used > cutoff:
            return
        _remove(entry.path)
        total -= entry.size


def _entries(folder: Path) -> Iterator[Entry]:
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # removed by another process
            status = path.stat()
            is_folder = stat.S_ISDIR(status.st_mode)
            size = sum(file.stat().st_size for file in os.scandir(path)) if is_folder else status.st_size
            yield Entry(status.st_mtime, size, path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
