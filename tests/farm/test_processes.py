"""Tests of child processes: none outlives what it belongs to, and none stays behind unburied."""

import subprocess
import sys

ADOPT = """
import subprocess, sys, time
import psutil
from farm import processes

processes.adopt_orphans()
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
        run(0, f"{wait}\nprocesses.bury_orphans([own.pid])")

    def test_that_still_run_are_left_alone_until_the_end(self) -> None:
        run(
            60,
            "processes.bury_orphans([own.pid])\nassert psutil.pid_exists(orphan)\n"
            "processes.bury_orphans([own.pid], kill=True)",
        )
