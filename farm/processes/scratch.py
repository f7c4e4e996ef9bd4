"""A process's own scratch folder for frames, removed with it; folders of killed processes are removed later."""

import contextlib
import hashlib
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

PREFIX = "plinth-"


@contextlib.contextmanager
def own_scratch(parent: Path) -> Iterator[Path]:
    """A folder under `parent` that exists while the block runs."""
    remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{process_scope()}-{os.getpid()}-", dir=parent))
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
    """Remove the folders of processes of this machine that no longer exist: files on tmpfs occupy memory.

    The parent may be shared with other machines and containers, whose process ids mean nothing here.
    """
    own = f"{PREFIX}{process_scope()}-"
    for folder in parent.glob(f"{own}*-*"):
        owner = folder.name.removeprefix(own).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def process_scope() -> str:
    """Identifies the scope within which process ids are unique: this machine, and the PID namespace of a container."""
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    return hashlib.sha256(f"{uuid.getnode()} {socket.gethostname()} {namespace}".encode()).hexdigest()[:6]
