"""Processes and ports: the `farm` program, command lines, free ports."""

import socket
import sys
from pathlib import Path

import psutil

FARM = Path(sys.executable).with_name("farm")


def command_line(process: psutil.Process) -> list[str]:
    """The arguments of a process; none for one that has just ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def is_blender_host(process: psutil.Process) -> bool:
    return "farm.blender.host" in command_line(process)


def free_port() -> int:
    """A TCP port on loopback that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
