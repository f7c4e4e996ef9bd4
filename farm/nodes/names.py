"""Names of nodes: unique on this machine, and the same after every restart."""

import contextlib
import errno
import hashlib
import itertools
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from farm.errors import NodeRefused

ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def default(gpu: int | None) -> str:
    """The default name of this machine's worker, or of the worker on one of its GPUs."""
    return socket.gethostname() + ("" if gpu is None else f"-gpu{gpu}")


@contextlib.contextmanager
def reserved(name: str | None, gpu: int | None, farm: str) -> Iterator[str]:
    """Reserve this name, or the default name with the first free number, while the block runs.

    `farm` identifies the farm. Raises NodeRefused when another worker of this farm on this machine has the name.
    """
    candidates: Iterator[str]
    if name is None:
        default_name = default(gpu)
        candidates = itertools.chain([default_name], (f"{default_name}-{number}" for number in itertools.count(2)))
    elif ALLOWED.fullmatch(name):
        candidates = iter([name])
    else:
        raise NodeRefused(
            f"{name!r} is not a valid name of a node: use letters, digits, dots, dashes and underscores, 100 at most"
        )
    for candidate in candidates:
        # An abstract socket: Linux frees it when its process ends in any way, and no file is left behind.
        with socket.socket(socket.AF_UNIX) as reservation:
            try:
                reservation.bind("\0plinth-node-" + hashlib.sha256(f"{farm} {candidate}".encode()).hexdigest())
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            yield candidate
            return
    raise NodeRefused(f"A worker named {name} already runs on this machine")


def machine() -> str:
    """The scope within which `reserved` guards a name: this boot of this machine, in this network namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/net').stat().st_ino}"
