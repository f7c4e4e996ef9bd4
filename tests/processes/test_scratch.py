"""A process's scratch folder is removed with it, and abandoned folders are removed later."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from farm.processes.scratch import own_scratch, process_scope, remove_abandoned

OWN = f"plinth-{process_scope()}-"


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


class TestOwnScratch:
    def test_exists_only_while_the_block_runs(self, tmp_path: Path) -> None:
        with own_scratch(tmp_path) as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "frame").write_bytes(b"pixels")
            assert folder.parent == tmp_path
        assert not list(tmp_path.iterdir())

    def test_is_removed_when_the_block_fails(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), own_scratch(tmp_path):
            raise ZeroDivisionError
        assert not list(tmp_path.iterdir())

    def test_is_private_to_its_user(self, tmp_path: Path) -> None:
        with own_scratch(tmp_path) as folder:
            assert folder.stat().st_mode & 0o077 == 0

    def test_differs_for_each_caller(self, tmp_path: Path) -> None:
        with own_scratch(tmp_path) as one, own_scratch(tmp_path) as other:
            assert one != other
            assert one.is_dir()

    def test_removes_abandoned_folders_first(self, tmp_path: Path) -> None:
        left = tmp_path / f"{OWN}{dead_pid()}-abc"
        left.mkdir()
        with own_scratch(tmp_path):
            assert not left.exists()


class TestRemoveAbandoned:
    def test_removes_the_folder_of_a_killed_process(self, tmp_path: Path) -> None:
        program = "import sys, time; from pathlib import Path; from farm.processes.scratch import own_scratch\n"
        program += "with own_scratch(Path(sys.argv[1])) as folder: print(folder, flush=True); time.sleep(600)"
        command = [sys.executable, "-c", program, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            folder = Path(process.stdout.readline().strip())
            remove_abandoned(tmp_path)
            assert folder.is_dir(), "its process still runs"
            process.kill()
        remove_abandoned(tmp_path)
        assert not folder.exists()

    def test_does_not_touch_other_folders(self, tmp_path: Path) -> None:
        pid = dead_pid()
        names = [f"{OWN}{os.getpid()}-abc", f"other-{pid}-abc", f"{OWN}abc-def", "plinth-", f"{OWN}{pid}"]
        names += [f"plinth-012345-{pid}-abc"]  # of another machine
        for name in names:
            (tmp_path / name).mkdir()
        remove_abandoned(tmp_path)
        assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted(names)
