"""A seccomp filter: the system calls that Landlock leaves open, and that no renderer needs. x86-64 only, like bpy."""

import ctypes
import errno
import os
import platform
import socket
import struct

PR_SET_SECCOMP, FILTER_MODE = 22, 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
X86_64, X32 = 0xC000003E, 0x40000000  # the architecture, and the bit of calls of its 32-bit variant
LOAD, JUMP_IF_EQUAL, JUMP_IF_ANY_BIT, JUMP_IF_AT_LEAST, MASK, RETURN = 0x20, 0x15, 0x45, 0x35, 0x54, 0x06
NUMBER_OFFSET, ARCHITECTURE_OFFSET, ARGUMENTS_OFFSET = 0, 4, 16

# Names and numbers from the kernel's syscall_64.tbl.
CONNECT = {"connect": 42}
OTHER_PROCESSES = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_open": 434,
    "pidfd_getfd": 438, "pidfd_send_signal": 424, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "tkill": 200,
    "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "msgget": 68,
}  # fmt: skip
# Landlock decides on opening files, not on their attributes; on truncating them only since its third version.
ATTRIBUTES = {
    "truncate": 76, "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452, "chown": 92, "fchown": 93,
    "lchown": 94, "fchownat": 260, "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280, "setxattr": 188,
    "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
    "setxattrat": 463, "removexattrat": 466,
}  # fmt: skip
KERNEL = {
    "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "add_key": 248, "request_key": 249, "keyctl": 250,
    "kexec_load": 246, "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176,
    "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179, "quotactl_fd": 443, "syslog": 103,
    "iopl": 172, "ioperm": 173, "modify_ldt": 154, "name_to_handle_at": 303, "open_by_handle_at": 304,
    "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305, "sethostname": 170,
    "setdomainname": 171, "fanotify_init": 300, "vhangup": 153, "mknod": 133, "mknodat": 259,
}  # fmt: skip
# Reported as missing, as in a kernel that is built without them, so that callers fall back to others.
MISSING = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "clone3": 435,
    "inotify_init": 253, "inotify_add_watch": 254, "inotify_init1": 294,  # it names files that Landlock hides
}  # fmt: skip
FORK = {"fork": 57, "vfork": 58}
SOCKET, SOCKETPAIR, CLONE, KILL, TGKILL, IOCTL, PRLIMIT, FCNTL = 41, 53, 56, 62, 234, 16, 302, 72
CLONE_THREAD, CLONE_NAMESPACES = 0x00010000, 0x7E020000
SOCKET_TYPE_MASK = 0xF
TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX
# The process that gets a signal when a file is ready, and which signal: SIGKILL to any process of this user, since
# Landlock looks at that only since Linux 6.12.
SIGNAL_OWNER = (0x8901, 0x8902)  # FIOSETOWN and SIOCSPGRP of ioctl
SIGNAL_COMMANDS = (8, 10, 15)  # F_SETOWN, F_SETSIG and F_SETOWN_EX of fcntl

Program = list[bytes]
_libc = ctypes.CDLL(None, use_errno=True)


def is_supported() -> bool:
    """Whether this filter can be installed on this machine."""
    return platform.machine() == "x86_64" and os.path.exists("/proc/sys/kernel/seccomp/actions_avail")  # noqa: PTH110


def install(*, may_fork: bool) -> None:
    """Refuse, for good, this thread and everything that it starts: any network, other processes, kernel interfaces.

    Without `may_fork` threads are the only processes that it may start. Signals reach this process only. A refused call
    fails with EPERM. PR_SET_NO_NEW_PRIVS must be set. Raises OSError.
    """
    program = b"".join(_program(os.getpid(), may_fork))
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    if _libc.prctl(PR_SET_SECCOMP, FILTER_MODE, header, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, f"seccomp: {os.strerror(error)}")


def _program(pid: int, may_fork: bool) -> Program:
    denied = {**CONNECT, **OTHER_PROCESSES, **ATTRIBUTES, **KERNEL, **({} if may_fork else FORK)}
    program = [
        _op(LOAD, ARCHITECTURE_OFFSET), _op(JUMP_IF_EQUAL, X86_64, 1, 0), _fail(errno.EPERM),
        _op(LOAD, NUMBER_OFFSET), _op(JUMP_IF_AT_LEAST, X32, 0, 1), _fail(errno.EPERM),
    ]  # fmt: skip
    for number in denied.values():
        program += _when(number, [_fail(errno.EPERM)])
    for number in MISSING.values():
        program += _when(number, [_fail(errno.ENOSYS)])
    for number in (SOCKET, SOCKETPAIR):
        program += _when(number, _only_unix_streams())
    program += _when(CLONE, _clone(may_fork))
    for number in (KILL, TGKILL):
        program += _when(number, _argument_is(0, pid))
    program += _when(PRLIMIT, _argument_is(0, 0, pid))
    program += _when(IOCTL, _argument_is_not(1, *TERMINAL_INPUT, *SIGNAL_OWNER))
    program += _when(FCNTL, _argument_is_not(1, *SIGNAL_COMMANDS))
    return [*program, _op(RETURN, ALLOW)]


def _only_unix_streams() -> Program:
    """Datagram sockets could send to any address without connecting."""
    return [
        *_argument_is(0, socket.AF_UNIX)[:-1],
        _op(LOAD, ARGUMENTS_OFFSET + 8), _op(MASK, SOCKET_TYPE_MASK), _op(JUMP_IF_EQUAL, socket.SOCK_STREAM, 1, 0),
        _fail(errno.EPERM), _op(RETURN, ALLOW),
    ]  # fmt: skip


def _clone(may_fork: bool) -> Program:
    flags = _op(LOAD, ARGUMENTS_OFFSET)
    no_namespaces = [flags, _op(JUMP_IF_ANY_BIT, CLONE_NAMESPACES, 0, 1), _fail(errno.EPERM)]
    only_threads = [_op(JUMP_IF_ANY_BIT, CLONE_THREAD, 1, 0), _fail(errno.EPERM)]
    return [*no_namespaces, *([] if may_fork else only_threads), _op(RETURN, ALLOW)]


def _argument_is(index: int, *values: int) -> Program:
    """Allow the call if the low half of an argument is one of `values`."""
    last = len(values) - 1
    tests = [_op(JUMP_IF_EQUAL, value, last - number + 1, 0) for number, value in enumerate(values)]
    return [_op(LOAD, ARGUMENTS_OFFSET + 8 * index), *tests, _fail(errno.EPERM), _op(RETURN, ALLOW)]


def _argument_is_not(index: int, *values: int) -> Program:
    last = len(values) - 1
    tests = [_op(JUMP_IF_EQUAL, value, last - number + 1, 0) for number, value in enumerate(values)]
    return [_op(LOAD, ARGUMENTS_OFFSET + 8 * index), *tests, _op(RETURN, ALLOW), _fail(errno.EPERM)]


def _when(number: int, body: Program) -> Program:
    """`body`, which ends with a return, for the system call of this number. The number is loaded."""
    return [_op(JUMP_IF_EQUAL, number, 0, len(body)), *body]


def _fail(error: int) -> bytes:
    return _op(RETURN, ERRNO | error)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
