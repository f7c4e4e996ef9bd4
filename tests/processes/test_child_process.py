"""Child processes end with their parent, and orphans are reaped."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.support.processes import WITHOUT_CAPABILITIES, may_read

ADOPT = """
import subprocess, sys, time
import psutil
from farm.processes import child_process

child_process.adopt_orphans()
own = subprocess.Popen(["sleep", "60"])
grandchild = "import subprocess; print(subprocess.Popen(['sleep', '{seconds}'], stdout=-3).pid)"
orphan = int(subprocess.check_output([sys.executable, "-c", grandchild]))
assert psutil.Process(orphan).ppid() == psutil.Process().pid
{reap}
assert not psutil.pid_exists(orphan), psutil.Process(orphan)
assert own.poll() is None, "a child that is not an orphan is not touched"
own.kill()
"""


def run(seconds: float, reap: str) -> None:
    subprocess.run([sys.executable, "-c", ADOPT.format(seconds=seconds, reap=reap)], check=True, timeout=30)


class TestReapOrphans:
    def test_leaves_no_zombie(self) -> None:
        wait = "while psutil.Process(orphan).status() != 'zombie': time.sleep(0.01)"
        run(0, f"{wait}\nchild_process.reap_orphans([own.pid])")

    def test_kills_running_orphans_only_on_request(self) -> None:
        run(
            60,
            "child_process.reap_orphans([own.pid])\nassert psutil.pid_exists(orphan)\n"
            "child_process.reap_orphans([own.pid], kill=True)",
        )


class TestCloseToOthers:
    @pytest.mark.parametrize("closes", [True, False])
    def test_keeps_environment_and_files_to_itself(self, closes: bool) -> None:
        program = "import os, sys; from farm.processes import child_process\n"
        program += "child_process.close_to_others()\n" if closes else ""
        program += "os.close(os.open('/proc/self/fd/0', os.O_RDONLY)); print(flush=True); sys.stdin.read()"
        command = [sys.executable, "-c", WITHOUT_CAPABILITIES, "-c", program]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"\n", "it may open its own files"
            assert may_read(process.pid, "stat")
            for name in ("environ", "maps", "fd/0"):
                assert may_read(process.pid, name) is not closes, name


class TestStart:
    @pytest.mark.parametrize("parent_lives_seconds", [0, 1])
    def test_starts_a_child_that_ends_with_its_parent(self, parent_lives_seconds: int) -> None:
        """A parent may end before the child is bound to it."""
        program = "import os, time; from farm.processes import child_process\n"
        program += "print(child_process.start(['sleep', '60']).pid, flush=True)\n"
        program += f"time.sleep({parent_lives_seconds}); os.kill(os.getpid(), 9)"
        parent = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
        assert parent.returncode == -signal.SIGKILL
        child = int(parent.stdout)
        deadline = time.monotonic() + 10
        while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "the child outlives its parent"
            time.sleep(0.05)
