"""A process's scratch folder is removed with it, and abandoned folders are removed later."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from farm.errors import FarmError
from farm.processes.scratch import LOCK, clear, own_scratch, remove_abandoned
from tests.support.polling import until


@pytest.fixture
def abandoned(tmp_path: Path) -> Path:
    """A folder whose process has ended."""
    folder = tmp_path / "plinth-1-abc"
    folder.mkdir()
    (folder / LOCK).touch()
    return folder


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

    def test_names_the_setting_where_there_is_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FarmError, match=r"gone for temporary files.*FARM_SCRATCH"), own_scratch(tmp_path / "gone"):
            pytest.fail("it must not begin")

    def test_differs_for_each_caller(self, tmp_path: Path) -> None:
        with own_scratch(tmp_path) as one, own_scratch(tmp_path) as other:
            assert one != other
            assert one.is_dir()

    def test_removes_abandoned_folders_first(self, tmp_path: Path, abandoned: Path) -> None:
        with own_scratch(tmp_path):
            assert not abandoned.exists()


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

    def test_keeps_a_folder_while_a_fork_of_its_process_runs(self, tmp_path: Path) -> None:
        program = "import os, sys, time; from pathlib import Path; from farm.processes.scratch import own_scratch\n"
        program += (
            "with own_scratch(Path(sys.argv[1])) as folder:\n"
            "    os.fork() or print(os.getpid(), folder, flush=True)\n"
            "    time.sleep(600)"
        )
        command = [sys.executable, "-c", program, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            fork, folder = process.stdout.readline().split()
            process.kill()
            process.wait()
            remove_abandoned(tmp_path)
            assert Path(folder).is_dir()
            os.kill(int(fork), signal.SIGKILL)

        def is_removed() -> bool:
            remove_abandoned(tmp_path)
            return not Path(folder).exists()

        until(is_removed)

    def test_does_not_touch_other_folders(self, tmp_path: Path, abandoned: Path) -> None:
        (tmp_path / "plinth-2-abc").mkdir()
        abandoned.rename(tmp_path / "other-1-abc")
        remove_abandoned(tmp_path)
        assert {folder.name for folder in tmp_path.iterdir()} == {"plinth-2-abc", "other-1-abc"}


class TestClear:
    def test_removes_frames_beside_a_folder_that_is_named_like_one(self, tmp_path: Path) -> None:
        host, horse = tmp_path / "blender", tmp_path / "work-1"
        (host / "frame-000001x").mkdir(parents=True)
        (host / "frame-000002.rgba").touch()
        horse.mkdir()
        clear(tmp_path)
        assert not (host / "frame-000002.rgba").exists()
        assert not horse.exists()
