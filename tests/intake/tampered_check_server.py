"""A check server whose checks misbehave as the name of the model says, as a decoder that was taken over would.

Run as a program by test_checker.py. A check of another name reports the limits and the environment of its process. With
arguments, it is a process of `confined_process.run`, and reports the same.
"""

import ctypes
import json
import os
import resource
import socket
import sys
import time
from pathlib import Path

from farm.intake import check_server, confined_process
from farm.intake.checked_model import CheckedModel
from farm.settings import ModelLimits

LIMITS = ["AS", "CPU", "FSIZE", "NOFILE", "NPROC", "CORE"]


def facts() -> dict[str, object]:
    """What an attacker would find."""
    status = Path("/proc/self/status").read_text().splitlines()
    return {
        "limits": {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in LIMITS},
        "environment": dict(os.environ),
        "files": sorted(int(path.name) for path in Path("/proc/self/fd").iterdir()),
        "no_new_privileges": "NoNewPrivs:\t1" in status,
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
