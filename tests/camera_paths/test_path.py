"""What holds for every camera path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_paths import PATHS, CameraPath, Pose
from farm.render_settings import allowed


def line(t: float) -> Pose:
    return Pose(azimuth=t)


@given(frames=st.integers(1, 5000))
def test_a_loop_ends_one_step_before_its_start(frames: int) -> None:
    poses = CameraPath("line", loops=True, pose=line).poses(frames)
    assert [pose.azimuth for pose in poses] == pytest.approx([frame / frames for frame in range(frames)])


@given(frames=st.integers(2, 5000))
def test_an_entrance_ends_exactly_at_its_end(frames: int) -> None:
    poses = CameraPath("line", loops=False, pose=line).poses(frames)
    assert (len(poses), poses[0].azimuth, poses[-1].azimuth) == (frames, 0, 1)


def test_an_entrance_of_one_frame_is_its_start() -> None:
    assert CameraPath("line", loops=False, pose=line).poses(1) == [Pose(azimuth=0)]


@pytest.mark.parametrize("name", PATHS)
def test_every_path_can_be_asked_for(name: str) -> None:
    assert f'"{name}"' in allowed("effect")
