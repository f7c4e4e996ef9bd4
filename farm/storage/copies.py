"""Copies of stored files on this machine's disk, cached for all processes that need them."""

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePath

from farm.storage.disk_cache import evict, mark_used

# A caller opens a returned path soon: a file is not evicted within this time of being requested.
MIN_AGE_SECONDS = 600


class Copies:
    """A folder of copies, limited to `budget` bytes and shared by several processes."""

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder = folder
        self.budget = budget

    def get(self, key: str, fetch: Callable[[Path], None]) -> Path:
        """The path of the copy of `key`. If there is none, `fetch` must create it, completely or not at all."""
        path = self.folder / (hashlib.sha256(key.encode()).hexdigest() + PurePath(key).suffix)
        if mark_used(path):
            return path
        self.folder.mkdir(parents=True, exist_ok=True)
        fetch(path)
        evict(self.folder, self.budget, min_age_seconds=MIN_AGE_SECONDS)
        return path
