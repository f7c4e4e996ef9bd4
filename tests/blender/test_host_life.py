"""The life of a Blender host: reuse, replacement, cleanup and death."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from camera_paths import Pose
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.errors import BadModel, BlenderCrashed, BlenderTimeout, RenderFailed
from farm.scene.shot import ShotSetup
from tests.support.blender import TIMEOUT_SECONDS, draw_frames, process_of, shot

pytestmark = pytest.mark.slow
SLOW = shot("product.glb", size=(1280, 720), samples=512)  # a frame takes many seconds
CRATE = shot("draco.glb")


def ends(pid: int, timeout: float = 20.0) -> bool:
    """Whether a process is gone (or a zombie) within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def frame_files(host: BlenderHost) -> list[Path]:
    return list(host.own_folder.glob("frame-*"))


class TestReuse:
    def test_keeps_one_process_for_many_models_even_bad_ones(self, host: BlenderHost) -> None:
        before = process_of(host).pid
        draw_frames(host, CRATE, 0.0)
        with pytest.raises(BadModel, match="no mesh"):
            draw_frames(host, shot("no_mesh.glb"), 0.0)
        draw_frames(host, shot("walker.glb"), 0.0)
        host.ensure_ready()
        assert process_of(host).pid == before

    def test_limits_openblas_to_one_thread(self, host: BlenderHost) -> None:
        assert process_of(host).environ()["OPENBLAS_NUM_THREADS"] == "1"

    def test_replaces_a_host_above_its_limits(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("farm.blender.host_process.MAX_SHOTS", 1)
        with BlenderHost(tmp_path, max_memory_bytes=2**40) as host:
            first = process_of(host).pid
            host.ensure_ready()
            assert process_of(host).pid == first, "no shot was opened yet"
            draw_frames(host, CRATE, 0.0)
            host.ensure_ready()
            second = process_of(host).pid
            assert second != first
            host.max_memory_bytes = 2**20  # less than bpy alone uses
            host.ensure_ready()
            assert process_of(host).pid != second

    def test_does_not_blame_the_model_for_an_internal_error(self, host: BlenderHost) -> None:
        broken = ShotSetup(**CRATE.to_wire() | {"samples": "many"})
        with pytest.raises(RenderFailed) as failure:
            draw_frames(host, broken, 0.0)
        assert type(failure.value) is RenderFailed
        assert host.is_idle()

    def test_draws_any_frames_in_the_requested_order(self, host: BlenderHost) -> None:
        with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
            blender.open_shot(CRATE)
            poses = [(7, Pose(0.0)), (3, Pose(10.0)), (9, Pose(20.0, 2.0))]
            frames = list(blender.frames(poses))
            assert [frame.number for frame in frames] == [7, 3, 9]
            assert frames[2].subject.width < frames[0].subject.width, "twice as far away is smaller"
            assert list(blender.frames([])) == []

    def test_survives_a_client_that_disconnects_early(self, host: BlenderHost) -> None:
        before = process_of(host).pid
        with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
            blender.open_shot(CRATE)
            next(blender.frames((number, Pose(0.0)) for number in range(5)))
        assert host.is_idle()
        assert process_of(host).pid == before


class TestFrameFiles:
    def test_are_two_at_most_and_are_removed_after_use(self, host: BlenderHost) -> None:
        with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
            blender.open_shot(CRATE)
            for _ in blender.frames((number, Pose(number)) for number in range(6)):
                time.sleep(0.1)  # time in which the host could draw further ahead
                assert 1 <= len(frame_files(host)) <= 2
        assert not frame_files(host)

    def test_are_removed_by_the_next_shot_after_a_disconnect(self, host: BlenderHost) -> None:
        with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
            blender.open_shot(CRATE)
            frames = blender.frames((number, Pose(number)) for number in range(6))
            next(frames)
            next(frames)
        draw_frames(host, CRATE, 0.0)
        assert not frame_files(host)

    def test_are_accessible_to_their_owner_only(self, host: BlenderHost) -> None:
        """So is the socket: a client can have the host open any file."""
        assert host.folder.stat().st_mode & 0o077 == 0


class TestDeath:
    def test_reports_death_mid_frame_and_replaces_the_host_once(self, own_host: BlenderHost) -> None:
        process = process_of(own_host)
        killed_at = []

        def kill() -> None:
            killed_at.append(time.monotonic())
            process.kill()

        with Blender(own_host.socket_path, TIMEOUT_SECONDS) as blender:
            blender.open_shot(SLOW)
            threading.Timer(0.5, kill).start()
            with pytest.raises(BlenderCrashed, match="stopped unexpectedly"):
                list(blender.frames([(0, Pose(0.0))]))
        assert time.monotonic() - killed_at[0] < 2
        assert not own_host.is_idle()
        own_host.ensure_ready()
        fresh = process_of(own_host).pid
        assert fresh != process.pid
        own_host.ensure_ready()
        assert process_of(own_host).pid == fresh, "a healthy host is reused"
        assert len(draw_frames(own_host, CRATE, 0.0)) == 1

    def test_replaces_a_host_that_draws_for_a_disconnected_client(
        self, own_host: BlenderHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("farm.blender.host_process.IDLE_TIMEOUT_SECONDS", 0.5)
        stuck = process_of(own_host)
        began = time.monotonic()
        with Blender(own_host.socket_path, 1.0) as blender:
            blender.open_shot(SLOW)
            with pytest.raises(BlenderTimeout, match="longer than allowed"):
                list(blender.frames([(0, Pose(0.0))]))
        assert time.monotonic() - began < 5
        assert not own_host.is_idle()
        own_host.ensure_ready()
        assert ends(stuck.pid)
        assert process_of(own_host).pid != stuck.pid

    def test_stops_twice_and_leaves_no_socket(self, own_host: BlenderHost) -> None:
        process = process_of(own_host)
        own_host.stop()
        assert ends(process.pid)
        assert not own_host.socket_path.exists()
        own_host.stop()

    def test_starts_in_a_folder_of_any_depth(self, tmp_path: Path) -> None:
        deep = tmp_path / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        with BlenderHost(deep) as host:
            assert host.is_idle()

    def test_quotes_the_log_when_the_start_fails(self, tmp_path: Path) -> None:
        host = BlenderHost(tmp_path)
        host.socket_path = tmp_path / ("long" * 40)  # the system refuses such a socket
        with pytest.raises(BlenderCrashed, match=r"path too long.*farm doctor"):
            host.start()

    @pytest.mark.parametrize("seconds", [0.2, 0.6])
    def test_follows_the_parents_even_before_bpy_is_imported(self, tmp_path: Path, seconds: float) -> None:
        program = (
            "import sys, threading, time; from pathlib import Path; from farm.blender.host_process import BlenderHost\n"
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


class TestClientImports:
    def test_never_include_bpy(self) -> None:
        """The worker forks, and Blender does not survive a fork."""
        modules = (
            "farm.blender.host_process, farm.worker.worker, farm.rendering.local, farm.cli, farm.commands.up, api.app"
        )
        program = f"import json, sys, {modules}; print(json.dumps([*sys.modules]))"
        output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert not {"bpy", "mathutils"} & set(json.loads(output.stdout.splitlines()[-1]))
