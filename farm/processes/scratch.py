"""A process's own scratch folder for frames, removed with it; folders of killed processes are removed later."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from farm.errors import FarmError
from farm.processes.removal import remove, remove_files

PREFIX = "plinth-"
WORK_PREFIX = "work-"
# A file that is locked while its folder is in use. The parent may be shared with other containers and machines, whose
# process ids mean nothing here; the kernel releases the lock when the process and its forks have ended.
LOCK = "lock"


@contextlib.contextmanager
def own_scratch(parent: Path) -> Iterator[Path]:
    """A folder under `parent` that exists while the block runs. Raises FarmError if there is no `parent`."""
    if not parent.is_dir():
        raise FarmError(f"There is no folder {parent} for temporary files: create it, or correct FARM_SCRATCH")
    remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
    try:
        with (folder / "new-lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "new-lock").rename(folder / LOCK)  # no process ever finds it unlocked
            yield folder
    finally:
        remove(folder)


@contextlib.contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A work-horse's folder in its worker's `parent`, which exists while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        remove(folder)


def clear(folder: Path) -> None:
    """Remove the files of a killed work-horse from its worker's folder."""
    for leftover in folder.glob(f"{WORK_PREFIX}*"):
        remove(leftover)
    remove_files(folder.glob("*/frame-*"))  # in the folder of the Blender host


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes that no longer exist: files on tmpfs occupy memory."""
    for path in parent.glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError), path.open("r+") as lock:  # in use, or being removed by another process
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(path.parent)
