"""Landlock, Linux' access control for processes without privileges, by its three system calls."""

import ctypes
import os
import stat
import struct
from collections.abc import Mapping

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
VERSION_FLAG, RULE_PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # a rule about a file may have no others
# What each version of the interface added. All of it is denied unless a rule grants it.
FILE_RIGHTS_SINCE = {1: (1 << 13) - 1, 2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}
TCP_SINCE, TCP_RIGHTS = 4, 0b11  # to bind, to connect
SCOPES_SINCE, SCOPES = 6, 0b11  # abstract Unix sockets and signals of processes outside

LIST = READ_DIR
READ = READ_FILE | READ_DIR | EXECUTE
DEVICE = READ_FILE | READ_DIR | WRITE_FILE | IOCTL_DEV
# Without links, FIFOs and devices: a process outside that opens such a file could be led elsewhere, or be made to wait.
WRITE = READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """The version of the kernel's interface; 0 where there is none, or a container forbids it."""
    return max(int(_libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)), 0)


def restrict(rights: Mapping[str, int]) -> None:
    """Deny this thread, and everything that it starts, all files except the given ones and what is below them.

    Denies TCP, and abstract sockets and signals of processes outside, where the kernel can. Paths that do not exist are
    skipped. PR_SET_NO_NEW_PRIVS must be set. Raises OSError.
    """
    known = version()
    handled = sum(bits for since, bits in FILE_RIGHTS_SINCE.items() if known >= since)
    attributes = struct.pack(
        "QQQ", handled, TCP_RIGHTS if known >= TCP_SINCE else 0, SCOPES if known >= SCOPES_SINCE else 0
    )
    size = 24 if known >= SCOPES_SINCE else 16 if known >= TCP_SINCE else 8
    ruleset = _call(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    for path, granted in rights.items():
        try:
            file = os.open(path, os.O_PATH)
        except OSError:
            continue
        if not stat.S_ISDIR(os.fstat(file).st_mode):
            granted &= OF_FILES
        _call(ADD_RULE, ruleset, RULE_PATH_BENEATH, struct.pack("=Qi", granted & handled, file), 0)
        # A rule about a process's folder in /proc holds only while the folder is in use.
        os.set_inheritable(file, True) if path == "/proc/self" else os.close(file)
    _call(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result
