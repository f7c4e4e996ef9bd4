"""Talking to a Blender host: what it answers, what it says of bad models, and what silence means."""

import math
import time
from pathlib import Path

import psutil
import pytest

from camera_paths import Pose
from farm.blender.client import Blender, BlenderHost
from farm.errors import BadModel, BlenderCrashed, BlenderStuck
from tests.blender.models import box, glb, shot
from tests.support.assets import ASSETS

pytestmark = pytest.mark.slow


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    return glb(tmp_path / "crate.glb", box((-1, 0, -1), (1, 1, 1)))


def the_process(host: BlenderHost) -> psutil.Process:
    return next(child for child in psutil.Process().children() if str(host.socket_path) in child.cmdline())


class TestConversation:
    def test_says_which_blender_it_is(self, blender: Blender) -> None:
        assert blender.hello()["version"].startswith("4.5")

    def test_the_next_frame_is_drawn_while_the_caller_works_on_this_one(self, blender: Blender, crate: Path) -> None:
        blender.open_shot(shot(crate))
        frames = blender.frames((n, Pose(0)) for n in range(2))
        first = Path(next(frames).subject.path)
        second = first.with_name("frame-000001.rgba")
        deadline = time.monotonic() + 60
        while not second.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert second.exists()
        assert len(list(frames)) == 1


class TestBadModels:
    @pytest.mark.parametrize(
        ("points", "mode"),
        [
            ([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)], 0),  # bare points: nothing to see
        ],
    )
    def test_without_a_surface(
        self, blender: Blender, tmp_path: Path, points: list[tuple[float, float, float]], mode: int
    ) -> None:
        with pytest.raises(BadModel, match="no mesh"):
            blender.open_shot(shot(glb(tmp_path / "points.glb", points, mode=mode)))

    def test_without_a_mesh(self, blender: Blender) -> None:
        with pytest.raises(BadModel, match="no mesh"):
            blender.open_shot(shot(ASSETS / "no_mesh.glb"))

    def test_with_all_points_in_one_place(self, blender: Blender, tmp_path: Path) -> None:
        with pytest.raises(BadModel, match="no size"):
            blender.open_shot(shot(glb(tmp_path / "dot.glb", [(1.0, 1.0, 1.0)] * 3)))

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_with_points_that_are_not_numbers_do_no_harm(self, blender: Blender, tmp_path: Path, value: float) -> None:
        """Blender's importer moves such points to the origin: what is left is drawn, and the camera stays sane."""
        points = [(value, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
        blender.open_shot(shot(glb(tmp_path / "odd.glb", points)))
        (frame,) = blender.frames([(0, Pose(0))])
        assert all(math.isfinite(number) for number in frame.ground_to_pixel)

    def test_that_blender_cannot_read(self, blender: Blender, tmp_path: Path) -> None:
        path = tmp_path / "junk.glb"
        path.write_bytes(b"glTF" + bytes(40))
        with pytest.raises(BadModel, match="cannot read the model") as refused:
            blender.open_shot(shot(path))
        assert "Traceback" not in refused.value.message
        assert str(tmp_path) not in refused.value.message


class TestSilence:
    def test_a_host_that_is_silent_too_long_counts_as_stuck(self, mortal: BlenderHost) -> None:
        process = the_process(mortal)
        process.suspend()
        try:
            with Blender(mortal.socket_path, 0.2) as blender, pytest.raises(BlenderStuck):
                blender.hello()
        finally:
            process.resume()

    def test_nobody_there_is_a_crash(self, tmp_path: Path) -> None:
        with pytest.raises(BlenderCrashed):
            Blender(tmp_path / "nobody.sock", 1)
