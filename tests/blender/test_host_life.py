"""How a Blender host lives and dies: what it leaves behind, who outlives whom, and what is said of it."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from camera_paths import Pose
from farm.blender.client import Blender, BlenderHost
from farm.errors import BadModel, BlenderCrashed, BlenderTimeout, RenderFailed
from farm.scene.shot import ShotSetup
from tests.support.blender import PATIENCE, draw, shot

pytestmark = pytest.mark.slow
SLOW = shot("product.glb", size=(1280, 720), samples=512)  # a frame takes many seconds
CRATE = shot("draco.glb")


def process_of(host: BlenderHost) -> psutil.Process:
    """The host as the system sees it."""
    children = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    [process] = [child for child in children if str(host.socket_path) in child.cmdline()]
    return process


def ends(pid: int, patience: float = 20.0) -> bool:
    """Whether a process is gone (or dead and not yet collected) within `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def frame_files(host: BlenderHost) -> list[Path]:
    return list(host.folder.glob("frame-*"))


class TestWarm:
    def test_is_one_process_for_many_models_the_bad_ones_too(self, host: BlenderHost) -> None:
        before = process_of(host).pid
        draw(host, CRATE, 0.0)
        with pytest.raises(BadModel, match="no mesh"):
            draw(host, shot("no_mesh.glb"), 0.0)
        draw(host, shot("walker.glb"), 0.0)
        host.ensure_ready()
        assert process_of(host).pid == before

    def test_leaves_the_cores_to_blender_where_numpy_would_keep_them_spinning(self, host: BlenderHost) -> None:
        assert process_of(host).environ()["OPENBLAS_NUM_THREADS"] == "1"

    def test_is_replaced_after_many_shots_or_when_it_has_grown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("farm.blender.client.MOST_SHOTS", 1)
        with BlenderHost(tmp_path, most_memory=2**40) as host:
            first = process_of(host).pid
            host.ensure_ready()
            assert process_of(host).pid == first, "nothing was opened yet"
            draw(host, CRATE, 0.0)
            host.ensure_ready()
            second = process_of(host).pid
            assert second != first
            host.most_memory = 2**20  # bpy alone takes more
            host.ensure_ready()
            assert process_of(host).pid != second

    def test_calls_an_error_of_ours_no_fault_of_the_model(self, host: BlenderHost) -> None:
        broken = ShotSetup(**CRATE.to_wire() | {"samples": "many"})
        with pytest.raises(RenderFailed) as failure:
            draw(host, broken, 0.0)
        assert type(failure.value) is RenderFailed
        assert host.is_idle()

    def test_draws_any_frames_in_the_order_asked_for(self, host: BlenderHost) -> None:
        with Blender(host.socket_path, PATIENCE) as blender:
            blender.open_shot(CRATE)
            poses = [(7, Pose(0.0)), (3, Pose(10.0)), (9, Pose(20.0, 2.0))]
            frames = list(blender.frames(poses))
            assert [frame.number for frame in frames] == [7, 3, 9]
            assert frames[2].subject.width < frames[0].subject.width, "twice as far away is smaller"
            assert list(blender.frames([])) == []

    def test_outlives_a_client_that_hangs_up_before_its_answer(self, host: BlenderHost) -> None:
        before = process_of(host).pid
        with Blender(host.socket_path, PATIENCE) as blender:
            blender.open_shot(CRATE)
            next(blender.frames((number, Pose(0.0)) for number in range(5)))
        assert host.is_idle()
        assert process_of(host).pid == before


class TestFrameFiles:
    def test_are_two_at_most_and_removed_after_use(self, host: BlenderHost) -> None:
        with Blender(host.socket_path, PATIENCE) as blender:
            blender.open_shot(CRATE)
            for _ in blender.frames((number, Pose(number)) for number in range(6)):
                time.sleep(0.1)  # time to draw further ahead, if it were to
                assert 1 <= len(frame_files(host)) <= 2
        assert not frame_files(host)

    def test_left_by_a_client_that_hung_up_go_with_the_next_shot(self, host: BlenderHost) -> None:
        with Blender(host.socket_path, PATIENCE) as blender:
            blender.open_shot(CRATE)
            frames = blender.frames((number, Pose(number)) for number in range(6))
            next(frames)
            next(frames)
        draw(host, CRATE, 0.0)
        assert not frame_files(host)

    def test_lie_where_only_their_owner_may_look(self, host: BlenderHost) -> None:
        """And so does the socket: whoever can write to it can have any file opened."""
        assert host.folder.stat().st_mode & 0o077 == 0


class TestDeath:
    def test_in_the_middle_of_a_frame_is_told_at_once_and_mended_once(self, mortal: BlenderHost) -> None:
        process = process_of(mortal)
        killed_at = []

        def kill() -> None:
            killed_at.append(time.monotonic())
            process.kill()

        with Blender(mortal.socket_path, PATIENCE) as blender:
            blender.open_shot(SLOW)
            threading.Timer(0.5, kill).start()
            with pytest.raises(BlenderCrashed, match="stopped unexpectedly"):
                list(blender.frames([(0, Pose(0.0))]))
        assert time.monotonic() - killed_at[0] < 2
        assert not mortal.is_idle()
        mortal.ensure_ready()
        fresh = process_of(mortal).pid
        assert fresh != process.pid
        mortal.ensure_ready()
        assert process_of(mortal).pid == fresh, "a healthy host is kept"
        assert len(draw(mortal, CRATE, 0.0)) == 1

    def test_replaces_a_host_that_still_draws_for_a_client_that_is_gone(
        self, mortal: BlenderHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("farm.blender.client.IDLE_TIMEOUT", 0.5)
        stuck = process_of(mortal)
        began = time.monotonic()
        with Blender(mortal.socket_path, 1.0) as blender:
            blender.open_shot(SLOW)
            with pytest.raises(BlenderTimeout, match="longer than allowed"):
                list(blender.frames([(0, Pose(0.0))]))
        assert time.monotonic() - began < 5
        assert not mortal.is_idle()
        mortal.ensure_ready()
        assert ends(stuck.pid)
        assert process_of(mortal).pid != stuck.pid

    def test_by_stop_leaves_no_socket_and_comes_twice_without_harm(self, mortal: BlenderHost) -> None:
        process = process_of(mortal)
        mortal.stop()
        assert ends(process.pid)
        assert not mortal.socket_path.exists()
        mortal.stop()

    def test_at_the_start_quotes_the_log(self, tmp_path: Path) -> None:
        host = BlenderHost(tmp_path)
        host.socket_path = tmp_path / ("long" * 40)  # the system refuses such a socket
        with pytest.raises(BlenderCrashed, match=r"path too long.*farm doctor"):
            host.start()

    @pytest.mark.parametrize("seconds", [0.2, 0.6])
    def test_comes_with_the_parents_even_before_bpy_is_imported(self, tmp_path: Path, seconds: float) -> None:
        program = (
            "import sys, threading, time; from pathlib import Path; from farm.blender.client import BlenderHost\n"
            "host = BlenderHost(Path(sys.argv[1]))\n"
            "threading.Thread(target=lambda: time.sleep(float(sys.argv[2])) or print(host._process.pid, flush=True),"
            " daemon=True).start()\n"
            "host.start(); time.sleep(600)"
        )
        command = [sys.executable, "-c", program, str(tmp_path), str(seconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout
            pid = int(parent.stdout.readline())
            assert psutil.Process(pid).is_running()
            parent.kill()
        assert ends(pid)


class TestDoor:
    def test_no_bpy_is_on_this_side_of_it(self) -> None:
        """The worker forks, and a Blender does not survive that."""
        modules = "farm.blender.client, farm.worker.worker, farm.rendering.local, farm.cli, farm.commands.up, api.app"
        program = f"import json, sys, {modules}; print(json.dumps([*sys.modules]))"
        told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert not {"bpy", "mathutils"} & set(json.loads(told.stdout.splitlines()[-1]))
