"""A process's own folder for frames under way, removed with it; those of killed processes are swept up."""

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
    """A folder under `parent` for as long as the block runs."""
    sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove from a worker's own folder what a work-horse that was killed has left there."""
    for leftover in folder.glob("work-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for frame in folder.glob("frame-*"):
        frame.unlink(missing_ok=True)


def sweep(parent: Path) -> None:
    """Remove what processes that are gone have left: frames in memory are memory lost."""
    for folder in parent.glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
