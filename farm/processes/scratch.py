"""A process's own scratch folder for frames, removed with it; folders of killed processes are removed later."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

PREFIX = "plinth-"


@contextlib.contextmanager
def own_scratch(parent: Path) -> Iterator[Path]:
    """A folder under `parent` that exists while the block runs."""
    remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove the files of a killed work-horse from its worker's folder."""
    for leftover in folder.glob("work-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for frame in folder.glob("frame-*"):
        frame.unlink(missing_ok=True)


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes that no longer exist: files on tmpfs occupy memory."""
    for folder in parent.glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
