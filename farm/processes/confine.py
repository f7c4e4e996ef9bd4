"""Confines the process that it runs in, then executes a command in its place. Started by farm.processes.sandbox.

Only the standard library is imported, and little of it: this runs before every ffmpeg.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from farm.processes import landlock, seccomp
from farm.processes.parent_death import PRCTL, die_with_parent

PR_SET_NO_NEW_PRIVS = 38
OOM_SCORE_ADJ = 800  # of at most 1000: the kernel ends this process before a worker, an API or a database
# Names that the system's libraries and drivers read. Of /etc only these: other files there may hold secrets.
SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/sys", "/run/opengl-driver")
CONFIGURATION = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "alternatives", "fonts", "localtime", "timezone",
    "passwd", "group", "nsswitch.conf", "os-release", "glvnd", "egl", "drirc", "vulkan", "OpenCL", "nvidia",
)  # fmt: skip
PROC = (
    "self", "cpuinfo", "meminfo", "stat", "version", "filesystems", "devices", "modules", "uptime", "loadavg", "sys",
    "driver",
)  # fmt: skip
DEVICES = ("null", "zero", "full", "random", "urandom", "dri", "dxg", "kfd", "nvidia*")


def main() -> None:
    rules, command = json.loads(sys.argv[1]), sys.argv[2:]
    if rules["parent"]:
        die_with_parent(rules["parent"])
    score = Path("/proc/self/oom_score_adj")
    score.write_text(str(max(int(score.read_text()), OOM_SCORE_ADJ)))  # lowering it would need a capability
    for name, value in rules["limits"].items():
        _limit(getattr(resource, name), value)
    PRCTL(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if rules["isolated"]:
        landlock.restrict(dict(_rights(rules["writable"], rules["readable"], rules["listable"])))
        seccomp.install(may_fork=rules["may_fork"])
    os.execvp(command[0], command)


def _limit(kind: int, value: int) -> None:
    """Set a limit, soft and hard, unless a lower one is in force."""
    lowest = min(each for each in (value, *resource.getrlimit(kind)) if each != resource.RLIM_INFINITY)
    resource.setrlimit(kind, (lowest, lowest))


def _rights(writable: list[str], readable: list[str], listable: list[str]) -> Iterator[tuple[str, int]]:
    """What this process may open, with the rights for Landlock."""
    for path in listable:
        yield path, landlock.LIST
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    configuration = (f"/etc/{name}" for name in CONFIGURATION)
    for path in (*SYSTEM, *configuration, *(f"/proc/{name}" for name in PROC), *filter(None, libraries), *readable):
        yield path, landlock.READ
    for name in DEVICES:
        for device in Path("/dev").glob(name):
            yield str(device), landlock.DEVICE
    for path in writable:
        yield path, landlock.WRITE


if __name__ == "__main__":
    main()
