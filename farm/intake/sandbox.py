"""Opens a stranger's file in a process of its own, with limits of memory and time: whoever asked stays small and alive.

`run` starts a module of this package, which calls `serve` at its end; the source is its stdin, the target its stdout,
and the last line of its stderr says in JSON what became of it.
"""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, BinaryIO

import structlog

from farm.errors import InvalidFormat
from farm.processes.child_process import die_with_parent

log = structlog.get_logger()

SCAN_SECONDS, SCAN_MEGABYTES = 120, 4096
LARGEST_TARGET = 1024**3
REFUSED = 3
# Threads reserve address space, and there is one thing to do.
ENVIRONMENT = {"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1"}

Work = Callable[[BinaryIO, BinaryIO], dict[str, Any]]


async def run(module: str, source: Path, target: IO[bytes], *, seconds: float, megabytes: int) -> dict[str, Any]:
    """Let `module` make `target` out of `source`. Returns the facts that its work returns.

    Raises InvalidFormat: the work refused the file, took longer than `seconds`, needed more than `megabytes` of address
    space, or crashed.
    """
    with source.open("rb") as readable:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", module, str(os.getpid()), str(megabytes)),
            stdin=readable,
            stdout=target,
            stderr=asyncio.subprocess.PIPE,
            env=ENVIRONMENT,
        )
    try:
        _, said = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        raise InvalidFormat(f"Opening the file took longer than {seconds:g} seconds: make it smaller") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode not in (0, REFUSED):
        log.warning("a file could not be opened", module=module, code=process.returncode, said=said[-4000:].decode())
        raise InvalidFormat("The file cannot be opened: it is damaged, or made to do harm; export it again")
    facts: dict[str, Any] = json.loads(said.splitlines()[-1])
    if process.returncode == REFUSED:
        raise InvalidFormat(facts["problem"])
    return facts


async def convert_scan(source: Path, target: IO[bytes]) -> None:
    """Make a GLB of a zipped OBJ scan. Raises InvalidFormat."""
    await run("farm.intake.scan", source, target, seconds=SCAN_SECONDS, megabytes=SCAN_MEGABYTES)


def serve(work: Work) -> None:
    """Be the process that `run` starts: limit what it may take, do the work, tell the outcome."""
    parent, megabytes = map(int, sys.argv[1:])
    die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_AS, (megabytes * 1024**2, megabytes * 1024**2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_TARGET, LARGEST_TARGET))
    try:
        facts = work(sys.stdin.buffer, sys.stdout.buffer)
        sys.stdout.flush()
    except InvalidFormat as error:
        _refuse(error.message)
    except MemoryError:
        _refuse(f"Opening the file needs more than {megabytes} MB of memory: make it smaller")
    print(f"\n{json.dumps(facts)}", file=sys.stderr)


def _refuse(problem: str) -> None:
    print(f"\n{json.dumps({'problem': problem})}", file=sys.stderr)
    sys.exit(REFUSED)
