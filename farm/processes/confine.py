"""Confines the process that it runs in. `main` then executes a command in its place, for farm.processes.sandbox.

Only the standard library is imported, and little of it: this runs before every ffmpeg.
"""

import contextlib
import json
import os
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from farm.processes import landlock, seccomp
from farm.processes.parent_death import PRCTL, die_with_parent

PR_SET_NO_NEW_PRIVS = 38
OOM_SCORE_ADJ = 800  # of at most 1000: the kernel ends this process before a worker, an API or a database
# Names that the system's libraries and drivers read. Of /etc only these: other files there may hold secrets.
SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/sys", "/run/opengl-driver", "/opt/rocm")
CONFIGURATION = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "alternatives", "fonts", "localtime", "timezone",
    "passwd", "group", "nsswitch.conf", "os-release", "glvnd", "egl", "drirc", "vulkan", "OpenCL", "nvidia",
)  # fmt: skip
PROC = (
    "self", "cpuinfo", "meminfo", "stat", "version", "filesystems", "devices", "modules", "uptime", "loadavg", "sys",
    "driver",
)  # fmt: skip
DEVICES = ("null", "zero", "full", "random", "urandom")
GPU_DEVICES = ("dri", "dxg", "kfd", "nvidia*")


def main() -> None:
    rules, command = json.loads(sys.argv[1]), sys.argv[2:]
    if rules["parent"]:
        die_with_parent(rules["parent"])
    limit({getattr(resource, name): value for name, value in rules["limits"].items()})
    if rules["isolation"]:
        isolate(**rules["isolation"])
    os.execvp(command[0], command)


def limit(limits: Mapping[int, int]) -> None:
    """Set limits of resources, soft and hard, unless lower ones are in force, and close the way to new privileges.

    From now on the kernel ends this process before others when memory runs out.
    """
    with contextlib.suppress(PermissionError):  # it was started by an isolated process, and has its score
        score = Path("/proc/self/oom_score_adj")
        score.write_text(str(max(int(score.read_text()), OOM_SCORE_ADJ)))  # lowering it would need a capability
    for kind, value in limits.items():
        lowest = min(each for each in (value, *resource.getrlimit(kind)) if each != resource.RLIM_INFINITY)
        resource.setrlimit(kind, (lowest, lowest))
    PRCTL(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def isolate(
    *, writable: Sequence[str], readable: Sequence[str], listable: Sequence[str], may_use_gpu: bool, may_fork: bool
) -> None:
    """Take network, files and other processes from this thread and all that it starts. Call `limit` before.

    Raises OSError.
    """
    devices = (*DEVICES, *(GPU_DEVICES if may_use_gpu else ()))
    landlock.restrict(dict(_rights(writable, readable, listable, devices)))
    seccomp.install(may_fork=may_fork)


def _rights(
    writable: Sequence[str], readable: Sequence[str], listable: Sequence[str], devices: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """What this process may open, with the rights for Landlock."""
    for path in listable:
        yield path, landlock.LIST
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    configuration = (f"/etc/{name}" for name in CONFIGURATION)
    for path in (*SYSTEM, *configuration, *(f"/proc/{name}" for name in PROC), *filter(None, libraries), *readable):
        yield path, landlock.READ
    for pattern in devices:
        for device in Path("/dev").glob(pattern):
            yield str(device), landlock.DEVICE
    for path in writable:
        yield path, landlock.WRITE


if __name__ == "__main__":
    main()
