"""What a process in a sandbox cannot do, tried by real processes inside it."""

import os
import resource
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.errors import SandboxTooWeak
from farm.processes import memory, sandbox
from farm.processes.sandbox import Isolation, Limits, Rules, Sandbox, clean_environment
from farm.settings import Settings
from tests.support.polling import until

SECRETS = {
    "FARM_DATABASE_URL": "postgresql://plinth:canary@db/plinth",
    "FARM_REDIS_URL": "redis://:canary@redis",
    "FARM_S3_SECRET_KEY": "canary",
    "AWS_SECRET_ACCESS_KEY": "canary",
    "PGPASSWORD": "canary",
    "DISPLAY": ":7",
}
# What a probe prints when its attempt is refused, whichever error the kernel chooses.
REFUSED = "refused"
PROBE = """
import ctypes, os, pathlib, resource, signal, socket, subprocess, sys, threading
try:
{attempt}
except (OSError, MemoryError):
    print("refused")
"""
ISOLATION = pytest.param(
    Isolation(),
    id="isolation",
    marks=pytest.mark.skipif(not Isolation.is_supported(), reason="this kernel has no Landlock or no seccomp"),
)
both_tiers = pytest.mark.parametrize("confined_by", [pytest.param(Limits(), id="limits"), ISOLATION])
in_isolation = pytest.mark.parametrize("confined_by", [ISOLATION])


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder that a probe may write to, beside others in `tmp_path`."""
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def attempt(
    confined_by: Sandbox, own: Path, code: str, *arguments: object, rules: Rules | None = None, check: bool = True
) -> str:
    """Run Python code inside the sandbox; returns what it prints."""
    probe = PROBE.format(attempt=textwrap.indent(textwrap.dedent(code).strip(), "    "))
    program = [sys.executable, "-c", probe, *map(str, arguments)]
    command = confined_by.command(program, rules or Rules(writable=[own]))
    environment = clean_environment(own, own)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestEnvironment:
    @both_tiers
    def test_has_no_secret(self, confined_by: Sandbox, own: Path) -> None:
        seen = attempt(confined_by, own, "print(dict(os.environ))")
        assert "canary" not in seen
        assert not any(name in seen for name in SECRETS)
        assert str(own) in seen, "HOME and TMPDIR are in the scratch folder"

    def test_keeps_what_drivers_need(self, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        kept = {"LD_LIBRARY_PATH": "/opt/driver", "__EGL_VENDOR_LIBRARY_DIRS": "/x", "DRI_PRIME": "pci-1", "LANG": "C"}
        for name, value in kept.items():
            monkeypatch.setenv(name, value)
        assert clean_environment(own, own).items() >= kept.items()

    @in_isolation
    def test_of_the_parent_cannot_be_read(self, confined_by: Sandbox, own: Path) -> None:
        code = "print(open(f'/proc/{sys.argv[1]}/environ').read())"
        assert attempt(confined_by, own, code, os.getpid()) == REFUSED


@in_isolation
class TestNetwork:
    def test_reaches_no_tcp_server(self, confined_by: Sandbox, own: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(0)
            code = "socket.create_connection(('127.0.0.1', int(sys.argv[1]))); print('connected')"
            assert attempt(confined_by, own, code, server.getsockname()[1]) == REFUSED
            with pytest.raises(BlockingIOError):
                server.accept()

    def test_reaches_no_unix_socket(self, confined_by: Sandbox, own: Path) -> None:
        """Such as the Redis of `farm up`."""
        path = own.parent / "redis.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            code = "socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print('connected')"
            assert attempt(confined_by, own, code, path) == REFUSED

    @pytest.mark.parametrize(
        ("family", "kind"),
        [("AF_INET", "SOCK_STREAM"), ("AF_INET6", "SOCK_STREAM"), ("AF_INET", "SOCK_DGRAM"), ("AF_UNIX", "SOCK_DGRAM"),
         ("AF_NETLINK", "SOCK_RAW"), ("AF_PACKET", "SOCK_RAW"), ("AF_VSOCK", "SOCK_STREAM")],
    )  # fmt: skip
    def test_has_no_other_sockets(self, confined_by: Sandbox, own: Path, family: str, kind: str) -> None:
        code = f"socket.socket(socket.{family}, socket.{kind}); print('open')"
        assert attempt(confined_by, own, code) == REFUSED

    def test_has_no_way_around_by_io_uring(self, confined_by: Sandbox, own: Path) -> None:
        code = """
        libc = ctypes.CDLL(None, use_errno=True)
        print(libc.syscall(425, 1, ctypes.create_string_buffer(120)), ctypes.get_errno())
        """
        assert attempt(confined_by, own, code) == "-1 38", "no such system call"

    def test_listens_in_its_own_folder(self, confined_by: Sandbox, own: Path) -> None:
        code = "server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen(); print('listens')"
        assert attempt(confined_by, own, code, own / "sock") == "listens"


@in_isolation
class TestFiles:
    @pytest.mark.parametrize(
        "code",
        [
            "open(sys.argv[1], 'w')",
            "open(sys.argv[1], 'a')",
            "open(sys.argv[1]).read()",
            "os.unlink(sys.argv[1])",
            "os.rename(sys.argv[1], sys.argv[2])",
            "os.link(sys.argv[1], sys.argv[2])",
            "os.truncate(sys.argv[1], 0)",
            "os.chmod(sys.argv[1], 0o777)",
            "os.utime(sys.argv[1])",
            "os.setxattr(sys.argv[1], 'user.x', b'x')",
            "os.listdir(os.path.dirname(sys.argv[1]))",
            "os.mkdir(sys.argv[1] + '-new')",
            "open('/etc/shadow')",
            "open('/dev/shm/outside', 'w')",
        ],
    )
    def test_outside_cannot_be_touched(self, confined_by: Sandbox, own: Path, code: str) -> None:
        outside = own.parent / "outside"
        outside.write_text("kept")
        before = outside.stat()
        assert attempt(confined_by, own, f"{code}; print('done')", outside, own / "stolen") == REFUSED
        after = outside.stat()
        assert (outside.read_text(), after.st_mode, after.st_mtime_ns) == ("kept", before.st_mode, before.st_mtime_ns)

    def test_inside_can_be_written_and_removed(self, confined_by: Sandbox, own: Path) -> None:
        code = """
        os.mkdir(sys.argv[1] + '/a')
        pathlib.Path(sys.argv[1], 'a', 'b').write_text('b')
        os.rename(sys.argv[1] + '/a/b', sys.argv[1] + '/a/c')
        os.unlink(sys.argv[1] + '/a/c')
        os.rmdir(sys.argv[1] + '/a')
        print('written')
        """
        assert attempt(confined_by, own, code, own) == "written"

    def test_of_the_input_can_only_be_read(self, confined_by: Sandbox, own: Path) -> None:
        model = own.parent / "model.glb"
        model.write_text("a model")
        rules = Rules(writable=[own], readable=[model])
        assert attempt(confined_by, own, "print(open(sys.argv[1]).read())", model, rules=rules) == "a model"
        assert attempt(confined_by, own, "open(sys.argv[1], 'w')", model, rules=rules) == REFUSED

    @pytest.mark.parametrize("number", [253, 254, 294])
    def test_outside_are_not_watched(self, confined_by: Sandbox, own: Path, number: int) -> None:
        """Inotify names files that a process may not open."""
        code = """
        libc = ctypes.CDLL(None, use_errno=True)
        print(libc.syscall(int(sys.argv[1]), 0, b'/', 0x100), ctypes.get_errno())
        """
        assert attempt(confined_by, own, code, number) == "-1 38", "no such system call"

    @pytest.mark.parametrize("code", ["os.symlink('/etc/passwd', sys.argv[1])", "os.mkfifo(sys.argv[1])"])
    def test_inside_cannot_mislead_a_reader_outside(self, confined_by: Sandbox, own: Path, code: str) -> None:
        assert attempt(confined_by, own, code, own / "trap") == REFUSED
        assert not list(own.iterdir())


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this user outside the sandbox."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


class TestProcesses:
    @in_isolation
    def test_of_others_are_not_listed(self, confined_by: Sandbox, own: Path) -> None:
        assert attempt(confined_by, own, "print(os.listdir('/proc'))") == REFUSED
        code = "print(open(f'/proc/{sys.argv[1]}/cmdline').read())"
        assert attempt(confined_by, own, code, os.getpid()) == REFUSED

    @in_isolation
    @pytest.mark.parametrize(
        "code", ["os.kill(int(sys.argv[1]), 9)", "signal.pidfd_send_signal(os.pidfd_open(int(sys.argv[1])), 9)"]
    )
    def test_of_others_get_no_signal(
        self, confined_by: Sandbox, own: Path, other: subprocess.Popen[bytes], code: str
    ) -> None:
        assert attempt(confined_by, own, code, other.pid) == REFUSED
        assert other.poll() is None

    @in_isolation
    @pytest.mark.parametrize(
        "code",
        [
            "fcntl.fcntl(end, fcntl.F_SETOWN, int(sys.argv[1]))",
            "fcntl.fcntl(end, 15, struct.pack('ii', 1, int(sys.argv[1])))",  # F_SETOWN_EX
            "fcntl.fcntl(end, 10, signal.SIGKILL)",  # F_SETSIG
            "fcntl.ioctl(end, 0x8901, struct.pack('i', int(sys.argv[1])))",  # FIOSETOWN
            "fcntl.ioctl(end, 0x8902, struct.pack('i', int(sys.argv[1])))",  # SIOCSPGRP
        ],
    )
    def test_of_others_get_no_signal_of_a_file(
        self, confined_by: Sandbox, own: Path, other: subprocess.Popen[bytes], code: str
    ) -> None:
        code = f"import fcntl, struct; end, _ = socket.socketpair(); {code}; print('done')"
        assert attempt(confined_by, own, code, other.pid) == REFUSED
        assert attempt(Limits(), own, code, other.pid) == "done", "the call is correct"

    @in_isolation
    def test_of_others_are_not_traced(self, confined_by: Sandbox, own: Path, other: subprocess.Popen[bytes]) -> None:
        code = "print(ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), None, None))"  # PTRACE_ATTACH
        assert attempt(confined_by, own, code, other.pid) == "-1"

    @in_isolation
    @pytest.mark.parametrize(
        "code", ["os.fork()", "subprocess.run(['true'])", "os.posix_spawn('/bin/true', ['true'], {})"]
    )
    def test_are_not_started(self, confined_by: Sandbox, own: Path, code: str) -> None:
        """So there is no fork bomb."""
        assert attempt(confined_by, own, f"{code}; print('started')") == REFUSED

    @in_isolation
    def test_are_started_where_the_rules_allow_it(self, confined_by: Sandbox, own: Path) -> None:
        """And are in the same sandbox."""
        code = """
        inner = "import socket; socket.socket(socket.AF_INET)"
        print(subprocess.run([sys.executable, '-c', inner], stderr=subprocess.DEVNULL).returncode)
        """
        assert attempt(confined_by, own, code, rules=Rules([own], may_fork=True)) == "1"

    @both_tiers
    def test_have_a_limited_number_of_threads(self, confined_by: Sandbox, own: Path) -> None:
        """The kernel does not apply this limit to root."""
        code = """
        for _ in range(4): threading.Thread(target=lambda: None).start()
        print(resource.getrlimit(resource.RLIMIT_NPROC)[1])
        """
        limit = int(attempt(confined_by, own, code))
        assert sandbox.MAX_THREADS < limit < sandbox.MAX_THREADS + 100_000

    @both_tiers
    def test_end_with_their_parent(self, confined_by: Sandbox, own: Path) -> None:
        """A process whose parent is not the given one has lost it before it could tell."""
        code, someone_else = "print('runs')", 1
        assert attempt(confined_by, own, code, rules=Rules([own], parent=os.getpid())) == "runs"
        assert attempt(confined_by, own, code, rules=Rules([own], parent=someone_else), check=False) == ""


@both_tiers
class TestLimits:
    def test_of_memory_refuse_a_huge_allocation(self, confined_by: Sandbox, own: Path) -> None:
        rules = Rules([own], memory_bytes=256 * 1024**2)
        assert attempt(confined_by, own, "bytearray(512 * 1024**2); print('has it')", rules=rules) == REFUSED
        assert attempt(confined_by, own, "bytearray(64 * 1024**2); print('has it')", rules=rules) == "has it"

    def test_of_files_stop_one_that_grows(self, confined_by: Sandbox, own: Path) -> None:
        rules = Rules([own], file_bytes=10_000)
        code = """
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with open(sys.argv[1], 'wb', buffering=0) as file:
            while True: file.write(bytes(1000))
        """
        assert attempt(confined_by, own, code, own / "file", rules=rules) == REFUSED
        assert (own / "file").stat().st_size == 10_000

    def test_of_processor_time_end_a_process(self, confined_by: Sandbox, own: Path) -> None:
        code = "while True: pass"
        assert attempt(confined_by, own, code, rules=Rules([own], cpu_seconds=1), check=False) == ""

    def test_leave_no_core_and_no_privileges(self, confined_by: Sandbox, own: Path) -> None:
        code = """
        print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 4096)
        print([line.split()[1] for line in open('/proc/self/status') if line.startswith('NoNewPrivs')])
        """
        assert attempt(confined_by, own, code) == "(0, 0) True\n['1']"

    def test_make_the_kernel_end_this_process_first(self, confined_by: Sandbox, own: Path) -> None:
        assert int(attempt(confined_by, own, "print(open('/proc/self/oom_score_adj').read())")) > 0

    def test_never_raise_a_limit(self, confined_by: Sandbox, own: Path) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**7, before[1]))
        try:
            code = "print(resource.getrlimit(resource.RLIMIT_FSIZE)[0])"
            for asked, expected in ((10**6, 10**6), (10**8, 10**7)):
                assert int(attempt(confined_by, own, code, rules=Rules([own], file_bytes=asked))) == expected
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestOfBlender:
    def test_is_the_strongest_unless_the_setting_says_less(self) -> None:
        assert sandbox.of_blender(Settings()) is sandbox.strongest()
        assert sandbox.of_blender(Settings(sandbox="limits")).tier == "limits"

    def test_may_be_the_required_one(self) -> None:
        assert sandbox.of_blender(Settings(sandbox_required=sandbox.strongest().tier)) is sandbox.strongest()

    def test_refuses_a_machine_below_the_required_tier(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SandboxTooWeak, match="limits only: FARM_SANDBOX is limits"):
            sandbox.of_blender(Settings(sandbox="limits", sandbox_required="isolation"))
        monkeypatch.setattr(sandbox, "strongest", Limits)
        with pytest.raises(SandboxTooWeak, match=r"FARM_SANDBOX_REQUIRED is isolation, .* no Landlock"):
            sandbox.of_blender(Settings(sandbox_required="isolation"))


class TestMemoryWatch:
    GROW = "import time; held = []\nwhile True: held.append(bytearray(10_000_000)); time.sleep(0.01)"

    def test_kills_a_process_that_holds_too_much(self) -> None:
        with (
            subprocess.Popen([sys.executable, "-c", self.GROW]) as growing,
            memory.MemoryWatch(growing.pid, 100_000_000) as watch,
        ):
            until(growing.poll)
            assert watch.has_killed

    def test_leaves_a_modest_process_alone(self, other: subprocess.Popen[bytes]) -> None:
        with memory.MemoryWatch(other.pid, 100_000_000) as watch:
            pass
        assert not watch.has_killed
        assert other.poll() is None
