"""Processes an untrusted file in a confined child process, to protect the parent and all that it can reach.

`run` starts a module of this package, which calls `main`. The child reads the source from stdin, writes the target to
stdout, and its result as JSON to the last line of stderr.
"""

import asyncio
import json
import os
import random
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

import structlog

from farm.errors import IntakeCrashed, InvalidFormat
from farm.processes.child_process import die_with_parent
from farm.processes.confine import limit
from farm.processes.sandbox import Rules, isolate_this_process
from farm.settings import DEFAULT_LIMITS, ModelLimits

log = structlog.get_logger()

MIN_TIMEOUT_SECONDS, TIMEOUT_SECONDS_PER_MB = 120, 4  # of the conversion of a model, by the size of its file
MAX_MODEL_MEMORY_MB = 4096
MAX_CORES = 4
MAX_OUTPUT_BYTES = 1024**3
MAX_OPEN_FILES = 256
MAX_CPU_SECONDS = 3600  # of a conversion with its threads; its timeout ends it long before, unless the parent hangs
MAX_REPORT_BYTES = 4 * 1024**2  # of what is kept of a process's output, of which a thousand names of clips are a part
NICENESS = 10  # the API and the workers of the machine come first
REFUSED_EXIT_CODE = 3
# Threads and their heaps reserve address space, and the work is mostly sequential. Blender starts one for each core.
ENVIRONMENT = {"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
OUT_OF_MEMORY = (b"bad_alloc", b"Malloc returns null", b"Calloc returns null", b"MemoryError")

SOURCE = Path("/proc/self/fd/0")

Starts = Literal["nothing", "threads", "processes"]
Work = Callable[..., dict[str, Any]]  # of the source, the target and the arguments of `run`


async def run(
    module: str,
    source: Path,
    target: IO[bytes],
    *,
    timeout_seconds: float | None,
    memory_mb: int,
    scratch: Path | None = None,
    **arguments: int,
) -> dict[str, Any]:
    """Run `module` in a process that reads `source` and writes `target`. Returns the facts that its work returns.

    `arguments` are passed to the work. Its temporary files are in `scratch`, or in the system's folder for them.

    Raises InvalidFormat: the work refused the file, took longer than `timeout_seconds`, needed more than `memory_mb` MB
    of address space, or crashed. Its temporary files are removed, however it ends.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        with source.open("rb") as readable:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", module, str(os.getpid()), str(memory_mb), json.dumps(arguments)),
                stdin=readable,
                stdout=target,
                stderr=asyncio.subprocess.PIPE,
                env=ENVIRONMENT | {"TMPDIR": folder, "HOME": folder},
            )
        try:
            output = await asyncio.wait_for(_end_of(process), timeout_seconds)
        except TimeoutError:
            raise InvalidFormat(too_slow(timeout_seconds or 0)) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode is not None
    return facts_of(module, process.returncode, output, memory_mb)


async def _end_of(process: asyncio.subprocess.Process) -> bytes:
    """Wait for the process. Returns the last MAX_REPORT_BYTES of its stderr."""
    assert process.stderr is not None
    output = b""
    while part := await process.stderr.read(1024**2):
        output = (output + part)[-MAX_REPORT_BYTES:]
    await process.wait()
    return output


async def convert_scan(
    source: Path, target: IO[bytes], limits: ModelLimits = DEFAULT_LIMITS, scratch: Path | None = None
) -> None:
    """Convert a zipped OBJ scan to GLB. `scratch` is as in `run`. Raises InvalidFormat."""
    taken = {"max_materials": limits.max_materials, "max_texture_pixels": limits.max_texture_pixels}
    await _convert("farm.intake.scan", source, target, scratch, **taken)


async def unpack_model(source: Path, target: IO[bytes], scratch: Path | None = None) -> None:
    """Convert a packed glTF (`CheckedModel.packed`) to a GLB that Blender can read. Raises InvalidFormat."""
    await _convert("farm.intake.unpack", source, target, scratch)


async def _convert(module: str, source: Path, target: IO[bytes], scratch: Path | None, **arguments: int) -> None:
    timeout = MIN_TIMEOUT_SECONDS + TIMEOUT_SECONDS_PER_MB * source.stat().st_size // 1024**2
    limits = {"timeout_seconds": timeout, "memory_mb": MAX_MODEL_MEMORY_MB}
    await run(module, source, target, **limits, scratch=scratch, **arguments)


def main(work: Work, *, starts: Starts = "nothing") -> None:
    """Entry point of the child process: confine it, do the work, report the result.

    What starts threads when it is imported has to be imported by the work: earlier threads would not be confined.
    """
    parent, memory_mb, arguments = map(json.loads, sys.argv[1:])
    die_with_parent(parent)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, random.sample(cores, min(len(cores), MAX_CORES)))  # also for a child of its own
    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what Blender prints must not get into the target
    confine(memory_mb, MAX_CPU_SECONDS, Path(tempfile.gettempdir()), starts=starts)

    def working() -> dict[str, Any]:
        facts = work(sys.stdin.buffer, target, **arguments)
        target.flush()
        return facts

    report(working)


def confine(memory_mb: int, cpu_seconds: int, *writable: Path, starts: Starts = "nothing") -> None:
    """Confine this process, for good: to limits of memory, CPU time and files, and where the kernel lets us to
    `SOURCE`, its program and the `writable` folders, without network and other processes.

    With `starts` threads it may start these, as any process does as root; with processes also others, which share its
    confinement.
    """
    limits = {
        resource.RLIMIT_AS: memory_mb * 1024**2,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: MAX_OUTPUT_BYTES,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if starts == "nothing":
        limits[resource.RLIMIT_NPROC] = 0
    limit(limits)
    os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), NICENESS))
    isolate_this_process(Rules(writable, [SOURCE], may_fork=starts == "processes"))


def report(work: Callable[[], dict[str, Any]]) -> NoReturn:
    """Do the work, write its facts or the refusal as the last line of stderr, and end this process."""
    try:
        facts = work()
    except IntakeCrashed:  # of a child of its own: this process crashes, too, so that the log has the cause
        raise
    except InvalidFormat as error:
        _refuse(error.message)
    except MemoryError:
        _refuse(too_large(memory_limit_mb()))
    _report(facts, 0)


def facts_of(name: str, exit_code: int, output: bytes, memory_mb: int) -> dict[str, Any]:
    """What the child process reported; `name` is for the log. Raises InvalidFormat: it refused the file or crashed."""
    if exit_code not in (0, REFUSED_EXIT_CODE):
        if any(words in output for words in OUT_OF_MEMORY):
            raise InvalidFormat(too_large(memory_mb))
        shown = output[-4000:].decode(errors="replace")
        log.warning("sandbox_failed", module=name, exit_code=exit_code, output=shown)
        raise IntakeCrashed
    facts: dict[str, Any] = json.loads(output.splitlines()[-1])
    if exit_code == REFUSED_EXIT_CODE:
        raise InvalidFormat(facts["problem"])
    return facts


def memory_limit_mb() -> int:
    """This process's limit of address space, for a child process of its own."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] // 1024**2


def too_slow(seconds: float) -> str:
    return f"Opening the file took longer than {seconds:g} seconds: make it smaller"


def too_large(memory_mb: int) -> str:
    return f"Opening the file needs more than {memory_mb} MB of memory: make it smaller"


def _refuse(problem: str) -> NoReturn:
    _report({"problem": problem}, REFUSED_EXIT_CODE)


def _report(facts: dict[str, Any], exit_code: int) -> NoReturn:
    """Write the last line of stderr, and end at once: Blender prints more while it closes."""
    print(f"\n{json.dumps(facts)}", file=sys.stderr, flush=True)
    os._exit(exit_code)
