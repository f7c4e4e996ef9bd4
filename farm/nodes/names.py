"""What a worker is called: a name of its own on this machine, the same after every restart."""

import contextlib
import hashlib
import itertools
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from farm.errors import NodeRefused

ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def usual(gpu: int | None) -> str:
    """The name of a machine's worker, or of the worker on one of its GPUs."""
    return socket.gethostname() + ("" if gpu is None else f"-gpu{gpu}")


@contextlib.contextmanager
def held(name: str | None, gpu: int | None, farm: str) -> Iterator[str]:
    """This very name, or the usual one with the first number that is free here, as long as the block runs.

    `farm` tells one farm from another. Raises NodeRefused when another worker of this farm and machine has the name.
    """
    candidates: Iterator[str]
    if name is None:
        usual_name = usual(gpu)
        candidates = itertools.chain([usual_name], (f"{usual_name}-{number}" for number in itertools.count(2)))
    elif ALLOWED.fullmatch(name):
        candidates = iter([name])
    else:
        raise NodeRefused(f"{name!r} is no name for a node: letters, digits, dots, dashes and underscores, at most 100")
    for candidate in candidates:
        # An abstract socket: Linux frees it when its process ends, whatever ends it, and nothing is left to tidy up.
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                claim.bind("\0plinth-node-" + hashlib.sha256(f"{farm} {candidate}".encode()).hexdigest())
            except OSError:
                continue
            yield candidate
            return
    raise NodeRefused(f"A worker called {name} runs on this machine already")


def machine() -> str:
    """The place within which `held` guards a name: this boot of this machine, this network namespace of it."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/net').stat().st_ino}"
