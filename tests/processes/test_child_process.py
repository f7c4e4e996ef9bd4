"""Tests of child processes: none outlives what it belongs to, and none stays behind unburied."""

import signal
import subprocess
import sys
import time

import psutil

ADOPT = """
import subprocess, sys, time
import psutil
from farm.processes import child_process

child_process.adopt_orphans()
own = subprocess.Popen(["sleep", "60"])
grandchild = "import subprocess; print(subprocess.Popen(['sleep', '{seconds}'], stdout=-3).pid)"
orphan = int(subprocess.check_output([sys.executable, "-c", grandchild]))
assert psutil.Process(orphan).ppid() == psutil.Process().pid
{bury}
assert not psutil.pid_exists(orphan), psutil.Process(orphan)
assert own.poll() is None, "a child of one's own is not touched"
own.kill()
"""


def run(seconds: float, bury: str) -> None:
    subprocess.run([sys.executable, "-c", ADOPT.format(seconds=seconds, bury=bury)], check=True, timeout=30)


class TestOrphans:
    def test_that_have_ended_leave_no_zombie(self) -> None:
        wait = "while psutil.Process(orphan).status() != 'zombie': time.sleep(0.01)"
        run(0, f"{wait}\nchild_process.reap_orphans([own.pid])")

    def test_that_still_run_are_left_alone_until_the_end(self) -> None:
        run(
            60,
            "child_process.reap_orphans([own.pid])\nassert psutil.pid_exists(orphan)\n"
            "child_process.reap_orphans([own.pid], kill=True)",
        )


class TestBound:
    def test_child_ends_with_its_parent_even_one_that_died_before_it_could_ask(self) -> None:
        begin = (
            "import sys, time; from farm.processes import child_process; child = child_process.start(['sleep', '60']);"
        )
        for wait in ("", "time.sleep(1);"):
            program = f"{begin} print(child.pid, flush=True); {wait} import os; os.kill(os.getpid(), 9)"
            parent = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
            assert parent.returncode == -signal.SIGKILL
            child = int(parent.stdout)
            deadline = time.monotonic() + 10
            while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < deadline, "the child outlives its parent"
                time.sleep(0.05)
