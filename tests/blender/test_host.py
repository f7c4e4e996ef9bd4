"""The connection to a Blender host: its responses, errors for bad models, and timeouts."""

import contextlib
import math
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from camera_paths import Pose
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.errors import BadModel, BlenderCrashed, BlenderTimeout, OpeningTimeout, OverBudget
from tests.blender.models import box, glb, shot
from tests.support.assets import ASSETS
from tests.support.blender import process_of

pytestmark = pytest.mark.slow


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    return glb(tmp_path / "crate.glb", box((-1, 0, -1), (1, 1, 1)))


class TestConnection:
    def test_reports_the_blender_version(self, blender: Blender) -> None:
        assert blender.hello()["version"].startswith("4.5")

    def test_draws_the_next_frame_while_the_caller_works(self, blender: Blender, crate: Path) -> None:
        blender.open_shot(shot(crate))
        frames = blender.frames((n, Pose(0)) for n in range(2))
        first = Path(next(frames).subject.path)
        second = first.with_name("frame-000001.rgba")
        deadline = time.monotonic() + 60
        while not second.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert second.exists()
        assert len(list(frames)) == 1


class TestBadModel:
    def test_refuses_bare_points(self, blender: Blender, tmp_path: Path) -> None:
        points = [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
        with pytest.raises(BadModel, match="no mesh"):
            blender.open_shot(shot(glb(tmp_path / "points.glb", points, mode=0)))

    def test_refuses_a_file_without_a_mesh(self, blender: Blender) -> None:
        with pytest.raises(BadModel, match="no mesh"):
            blender.open_shot(shot(ASSETS / "no_mesh.glb"))

    def test_refuses_points_that_all_coincide(self, blender: Blender, tmp_path: Path) -> None:
        with pytest.raises(BadModel, match="no size"):
            blender.open_shot(shot(glb(tmp_path / "dot.glb", [(1.0, 1.0, 1.0)] * 3)))

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_draws_a_model_with_points_that_are_not_finite(
        self, blender: Blender, tmp_path: Path, value: float
    ) -> None:
        """Blender's importer moves such points to the origin; the rest is drawn, and the camera stays finite."""
        points = [(value, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
        blender.open_shot(shot(glb(tmp_path / "odd.glb", points)))
        (frame,) = blender.frames([(0, Pose(0))])
        assert all(math.isfinite(number) for number in frame.ground_to_pixel)

    def test_refuses_a_file_that_blender_cannot_read(self, blender: Blender, tmp_path: Path) -> None:
        path = tmp_path / "junk.glb"
        path.write_bytes(b"glTF" + bytes(40))
        with pytest.raises(BadModel, match="cannot read the model") as refused:
            blender.open_shot(shot(path))
        assert "Traceback" not in refused.value.message
        assert str(tmp_path) not in refused.value.message


class TestNoResponse:
    def test_raises_blender_stuck_after_the_timeout(self, own_host: BlenderHost) -> None:
        process = process_of(own_host)
        process.suspend()
        try:
            with Blender(own_host.socket_path, 0.2) as blender, pytest.raises(BlenderTimeout):
                blender.hello()
        finally:
            process.resume()

    def test_raises_blender_crashed_without_a_host(self, tmp_path: Path) -> None:
        with pytest.raises(BlenderCrashed):
            Blender(tmp_path / "missing.sock", 1)


class TestTimeout:
    @staticmethod
    def open_slowly(folder: Path, model_bytes: int, opening_timeout: float | None = None) -> None:
        """Open a shot of a model of this size, with a timeout of 0.2 s, on a host that takes 0.6 s."""
        model = folder / "model.glb"
        with model.open("wb") as file:
            file.truncate(model_bytes)
        with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor() as pool:
            path = folder / "blender" / "slow.sock"
            path.parent.mkdir()
            server.bind(str(path))
            server.listen()

            def respond() -> None:
                client, _ = server.accept()
                with client:
                    time.sleep(0.6)
                    client.sendall(b'{"ok": {}}\n')

            answered = pool.submit(respond)
            with Blender(path, 0.2, opening_timeout=opening_timeout) as blender:
                blender.open_shot(shot(model))
            answered.result()

    def test_follows_the_size_of_the_model(self, tmp_path: Path) -> None:
        self.open_slowly(tmp_path, 1024**2)

    def test_stays_short_for_a_small_model(self, tmp_path: Path) -> None:
        with pytest.raises(OpeningTimeout):
            self.open_slowly(tmp_path, 10)

    def test_for_opening_may_be_longer(self, tmp_path: Path) -> None:
        self.open_slowly(tmp_path, 10, opening_timeout=5.0)

    @pytest.mark.parametrize("limit", ["timeout", "budget"])
    def test_covers_a_response_that_drips(self, tmp_path: Path, limit: str) -> None:
        response = b'{"ok": {}' + b" " * 60 + b"}\n"  # valid, and there within 3 s
        with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor() as pool:
            path = tmp_path / "blender" / "drip.sock"
            path.parent.mkdir()
            server.bind(str(path))
            server.listen()

            def drip() -> None:
                client, _ = server.accept()
                with client, contextlib.suppress(OSError):  # the client has hung up
                    for number in range(len(response)):
                        client.sendall(response[number : number + 1])
                        time.sleep(0.04)

            dripped = pool.submit(drip)
            with Blender(path, 0.3 if limit == "timeout" else 60.0) as blender:
                if limit == "budget":
                    blender.limit(30.3, 1, spent=30.0)
                with pytest.raises(BlenderTimeout if limit == "timeout" else OverBudget):
                    blender.hello()
            dripped.result()


class TestBudget:
    def test_covers_all_frames_together(self, own_host: BlenderHost, crate: Path) -> None:
        process = process_of(own_host)
        with Blender(own_host.socket_path, 60) as blender:
            blender.open_shot(shot(crate))
            blender.limit(3.0, 9)
            frames = blender.frames((n, Pose(0)) for n in range(9))
            next(frames)
            process.suspend()
            try:
                with pytest.raises(OverBudget, match="9 frames of this model took longer than the 3 s"):
                    list(frames)
            finally:
                process.resume()

    def test_spent_by_earlier_attempts_is_no_hang(self, own_host: BlenderHost, crate: Path) -> None:
        process = process_of(own_host)
        with Blender(own_host.socket_path, 60) as blender:
            blender.limit(30.2, 9, spent=30.0)
            process.suspend()
            try:
                with pytest.raises(OverBudget, match="longer than the 30 s"):
                    blender.open_shot(shot(crate))
            finally:
                process.resume()

    def test_without_any_frame_means_that_blender_hangs(self, own_host: BlenderHost, crate: Path) -> None:
        process = process_of(own_host)
        with Blender(own_host.socket_path, 60) as blender:
            blender.open_shot(shot(crate))
            process.suspend()
            blender.limit(0.2, 9)
            try:
                with pytest.raises(BlenderTimeout):
                    next(blender.frames([(0, Pose(0))]))
            finally:
                process.resume()
