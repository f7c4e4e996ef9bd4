"""A check server whose checks misbehave as the name of the model says, as a decoder that was taken over would.

Run as a program by test_checker.py. A check of another name reports the limits and the environment of its process. With
arguments, it is a process of `confined_process.run`, and reports the same.
"""

import ctypes
import errno
import json
import os
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from farm.intake import check_server, confined_process
from farm.intake.checked_model import CheckedModel
from farm.settings import ModelLimits

USER = os.getppid()  # the process that has files checked
LIMITS = ["AS", "CPU", "FSIZE", "NOFILE", "NPROC", "CORE"]


ATTACKS: dict[str, Callable[[], object]] = {
    "environment": lambda: Path(f"/proc/{USER}/environ").read_bytes(),
    "environment of the parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "memory": lambda: os.open(f"/proc/{USER}/mem", os.O_RDONLY),
    "processes": lambda: os.listdir("/proc"),  # noqa: PTH208
    "file": lambda: Path(__file__).read_bytes(),
    "new file": lambda: Path(tempfile.mkstemp(dir=Path(__file__).parent)[1]).unlink(),
    "temporary file": lambda: Path(tempfile.mkstemp(dir="/tmp")[1]).unlink(),
    "source": lambda: os.open("/proc/self/fd/0", os.O_RDWR),
    "mode of the source": lambda: os.fchmod(0, 0o644),
    "TCP": lambda: socket.socket(socket.AF_INET).connect(("127.0.0.1", 9)),
    "UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9)),
    "Unix socket": lambda: socket.socket(socket.AF_UNIX).connect("\0none"),
    "signal": lambda: os.kill(USER, 0),
    "process": lambda: os.posix_spawn("/bin/true", ["true"], {}),
}


def is_refused(attack: Callable[[], object]) -> bool:
    """Whether the kernel forbids it. Another error, such as a refused connection, means that the way is open."""
    try:
        attack()
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EPERM, errno.ENOSYS)
    return False


def facts() -> dict[str, object]:
    """What an attacker would find."""
    status = Path("/proc/self/status").read_text().splitlines()
    return {
        "limits": {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in LIMITS},
        "environment": dict(os.environ),
        "files": sorted(int(path.name) for path in Path("/proc/self/fd").iterdir()),
        "no_new_privileges": "NoNewPrivs:\t1" in status,
        "open_to_attacks": [name for name, attack in ATTACKS.items() if not is_refused(attack)],
        "process": os.getpid(),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    }


def tampered(_path: Path, name: str, limits: ModelLimits) -> CheckedModel:
    match name:
        case "memory.glb":
            bytearray(64 * 1024**3)
        case "endless.glb":
            time.sleep(10**6)
        case "busy.glb":
            while True:
                pass
        case "crash.glb":
            ctypes.string_at(0)
        case "flood.glb":
            while True:
                os.write(2, bytes(1024**2))
        case "killed.glb":
            os.kill(os.getppid(), 9)
            time.sleep(10**6)
        case "error.glb":
            raise RuntimeError("a bug")
    return CheckedModel("glb", [json.dumps(facts()), json.dumps(limits.max_nodes)], False)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        confined_process.main(lambda _source, _target: facts())
    vars(check_server)["check_model"] = tampered
    check_server.serve(socket.socket(fileno=0))
