"""Processes and ports: the `farm` program, command lines, free ports."""

import socket
import subprocess
import sys
from pathlib import Path

import psutil

FARM = Path(sys.executable).with_name("farm")
# Runs Python without root's capabilities, which open every process; drops them by PR_CAPBSET_DROP.
WITHOUT_CAPABILITIES = """
import ctypes, os, sys
for capability in range(64):
    ctypes.CDLL(None).prctl(24, capability)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
READS = """
import sys
try:
    open(f"/proc/{sys.argv[1]}/{sys.argv[2]}", "rb")
except PermissionError:
    sys.exit("refused")
"""


def command_line(process: psutil.Process) -> list[str]:
    """The arguments of a process; none for one that has just ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def is_blender_host(process: psutil.Process) -> bool:
    return "farm.blender.host" in command_line(process)


def may_read(pid: int, name: str) -> bool:
    """Whether a process of the same user, without capabilities, may open a file of process `pid` in /proc."""
    command = [sys.executable, "-c", WITHOUT_CAPABILITIES, "-c", READS, str(pid), name]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.stderr in ("", "refused\n"), done.stderr
    return not done.returncode


def free_port() -> int:
    """A TCP port on loopback that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
