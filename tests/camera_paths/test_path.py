"""Properties of every camera path, including new ones."""

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_paths import PATHS, CameraPath, Pose
from camera_paths.loading import load_folder
from camera_paths.path import register
from farm.orders.render_settings import EFFECT_FIELDS, allowed
from tests.camera_paths.strategies import options

EVERY_PATH = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
PAGE = Path(__file__).parents[2] / "docs" / "camera-paths.md"
STEPS = 20_000  # between which no pose may jump


def line(t: float) -> Pose:
    return Pose(azimuth=t)


def turned(pose: Pose) -> tuple[float, float]:
    """The direction of an azimuth, so that 0 and 360 degrees are equal."""
    return math.cos(math.radians(pose.azimuth)), math.sin(math.radians(pose.azimuth))


@given(frames=st.integers(1, 5000))
def test_ends_a_loop_one_step_before_its_start(frames: int) -> None:
    poses = CameraPath("line", loops=True, pose=line).poses(frames)
    assert [pose.azimuth for pose in poses] == pytest.approx([frame / frames for frame in range(frames)])


@given(frames=st.integers(2, 5000))
def test_ends_an_entrance_exactly_at_time_1(frames: int) -> None:
    poses = CameraPath("line", loops=False, pose=line).poses(frames)
    assert (len(poses), poses[0].azimuth, poses[-1].azimuth) == (frames, 0, 1)


def test_starts_an_entrance_of_one_frame() -> None:
    assert CameraPath("line", loops=False, pose=line).poses(1) == [Pose(azimuth=0)]


def test_includes_the_five_reference_paths() -> None:
    assert {"turntable", "hero-spin", "showcase", "zoom-orbit", "reveal"} <= set(PATHS)


@EVERY_PATH
class TestEveryPath:
    def test_is_an_accepted_effect(self, path: CameraPath) -> None:
        assert f'"{path.name}"' in allowed("effect")

    def test_has_options_that_clients_can_set(self, path: CameraPath) -> None:
        assert set(path.options) <= set(EFFECT_FIELDS)

    def test_has_a_title_and_a_description(self, path: CameraPath) -> None:
        assert path.title.lower().replace(" ", "-") == path.name
        assert path.description.endswith(".")

    @given(data=st.data(), t=st.floats(0, 1))
    def test_returns_valid_poses(self, path: CameraPath, data: st.DataObject, t: float) -> None:
        pose = path.pose(t, **data.draw(options(path)))
        assert math.isfinite(pose.azimuth)
        assert pose.radius > 0
        assert 0 <= pose.scale <= 1

    @given(data=st.data())
    def test_closes_its_loop_or_ends_at_the_front_in_full_size(self, path: CameraPath, data: st.DataObject) -> None:
        render_settings = data.draw(options(path))
        first, last = path.pose(0, **render_settings), path.pose(1, **render_settings)
        if path.loops:
            assert turned(last) == pytest.approx(turned(first), abs=1e-9)
            assert (last.radius, last.scale) == pytest.approx((first.radius, first.scale))
        else:
            assert turned(last) == pytest.approx(turned(Pose(render_settings["rotate_y"])), abs=1e-9)
            assert last.scale == 1

    @given(data=st.data(), t=st.floats(0, 1))
    def test_never_jumps(self, path: CameraPath, data: st.DataObject, t: float) -> None:
        render_settings = data.draw(options(path))
        before, after = (
            path.pose(t * (1 - 1 / STEPS), **render_settings),
            path.pose(t * (1 - 1 / STEPS) + 1 / STEPS, **render_settings),
        )
        # A step is at most that of a path which turns three times, goes from farthest to nearest and grows from scale
        # 0, at three times its mean speed.
        assert abs(after.azimuth - before.azimuth) <= 3 * 1080 / STEPS + 1e-9
        assert abs(after.radius - before.radius) <= 3 * 6 / STEPS + 1e-9
        assert abs(after.scale - before.scale) <= 3 / STEPS + 1e-9

    def test_comes_to_rest_or_keeps_its_speed_with_easing(self, path: CameraPath) -> None:
        poses = [path.pose(step / STEPS) for step in range(STEPS + 1)]
        speeds = [after.azimuth - before.azimuth for before, after in pairwise(poses)]
        end = speeds[0] if path.loops else 0
        assert speeds[-1] == pytest.approx(end, abs=1e-3)

    def test_applies_rotate_y_and_zoom(self, path: CameraPath) -> None:
        plain, moved = path.pose(0.3), path.pose(0.3, rotate_y=50, zoom=1.5)
        assert moved.azimuth - plain.azimuth == pytest.approx(50)
        assert moved.radius / plain.radius == pytest.approx(1.5)
        assert moved.scale == plain.scale


class TestNewFile:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> Iterator[Path]:
        """A folder of one more camera path; paths registered meanwhile are removed afterwards."""
        known = dict(PATHS)
        yield tmp_path
        PATHS.clear()
        PATHS.update(known)

    def test_becomes_an_effect_as_in_the_docs_example(self, folder: Path) -> None:
        [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        (folder / "pendulum.py").write_text(example)
        load_folder(folder)
        path = PATHS["pendulum"]
        assert (path.title, path.options) == ("Pendulum", ["amplitude"])
        assert path.description == "swings like a clock's, wide at first, and comes to rest facing front."
        assert path.poses(100, amplitude=180.0, rotate_y=30.0)[-1] == Pose(azimuth=30)

    def test_is_refused_with_a_taken_name(self) -> None:
        with pytest.raises(ValueError, match='two camera paths named "turntable"'):
            register("turntable", loops=True)(PATHS["turntable"].pose)

    def test_is_refused_without_a_common_option(self) -> None:
        with pytest.raises(ValueError, match="must have the parameters easing, rotate_y, zoom"):
            register("line", loops=True)(line)
