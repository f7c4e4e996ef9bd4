"""Copies of stored files on this machine's disk, kept for the next process that needs them."""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path, PurePath

# Who was given a path opens it soon: no file is removed so shortly after it was asked for.
SPARED_SECONDS = 600


class Copies:
    """A folder for several processes. The least recently used files make room when all exceed `budget` bytes.

    Files asked for within the last ten minutes stay even then.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder = folder
        self.budget = budget

    def get(self, key: str, fetch: Callable[[Path], None]) -> Path:
        """The copy of `key`, which `fetch` makes when there is none: whole, or not at all, at the path it is given."""
        path = self.folder / (hashlib.sha256(key.encode()).hexdigest() + PurePath(key).suffix)
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)
            return path
        self.folder.mkdir(parents=True, exist_ok=True)
        fetch(path)
        self._make_room()
        return path

    def _make_room(self) -> None:
        """Remove old files, what killed processes have left of theirs among them."""
        found = []
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for used, size, path in sorted(found):
            if total <= self.budget or used > time.time() - SPARED_SECONDS:
                return
            path.unlink(missing_ok=True)
            total -= size
