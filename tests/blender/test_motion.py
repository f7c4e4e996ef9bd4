"""Animation clips: selection, speed, framing and shadows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from camera_paths import Pose
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.errors import BadModel
from farm.scene.shot import Frame, ShotSetup
from tests.support.blender import TIMEOUT_SECONDS, InsideBlender, shot

pytestmark = pytest.mark.slow
WALKING = replace(shot("walker.glb"), animation="Walk", fps=8)
Pixels = NDArray[np.uint8]


def draw_numbered(
    host: BlenderHost, setup: ShotSetup, *numbers: int
) -> list[tuple[Frame, Pixels, NDArray[np.float32] | None]]:
    """Draw frames by number from the side; returns each with its subject's pixels and its shadow."""
    with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
        blender.open_shot(setup)
        return [
            (
                frame,
                np.fromfile(frame.subject.path, np.uint8).reshape(frame.subject.height, frame.subject.width, 4),
                np.load(frame.shadow.path) if frame.shadow else None,
            )
            for frame in blender.frames((number, Pose(90.0)) for number in numbers)
        ]


def clouds_of(setup: ShotSetup, count: int) -> tuple[float, list[NDArray[np.float64]], float]:
    """The clip's duration, the subject's points along it, and the sphere's height. Runs in a process with bpy."""
    from farm.blender.stage import set_up

    stage = set_up(setup)
    seconds = stage.clip_seconds
    return seconds, [stage.show_at(seconds * step / count).copy() for step in range(count)], stage.sphere_height


class TestClip:
    def test_moves_the_model_only_if_it_is_requested(self, host: BlenderHost) -> None:
        (_, first, _), (_, second, _) = draw_numbered(host, WALKING, 0, 3)
        assert first.shape != second.shape or (first != second).any()
        (_, first, _), (_, second, _) = draw_numbered(host, replace(WALKING, animation=None), 0, 3)
        assert (first == second).all()

    def test_selects_the_first_clip_by_star(self, host: BlenderHost) -> None:
        [(_, named, _)] = draw_numbered(host, WALKING, 3)
        [(_, first, _)] = draw_numbered(host, replace(WALKING, animation="*"), 3)
        assert (named == first).all()

    def test_plays_at_its_speed_and_loops(self, host: BlenderHost) -> None:
        """The clip lasts one second, which is eight frames."""
        (_, one, _), (_, two, _), (_, nine, _) = draw_numbered(host, WALKING, 1, 2, 9)
        [(_, twice_as_fast, _)] = draw_numbered(host, replace(WALKING, animation_speed=2.0), 1)
        assert (twice_as_fast == two).all()
        assert (nine == one).all()

    def test_refuses_an_unknown_clip_and_lists_the_known(self, blender: Blender) -> None:
        with pytest.raises(BadModel, match="no animation clip 'Run'; it has: 'Walk'"):
            blender.open_shot(replace(WALKING, animation="Run"))
        with pytest.raises(BadModel, match="no animation clips"):
            blender.open_shot(replace(shot("draco.glb"), animation="*"))

    def test_is_framed_and_grounded_over_its_whole_duration(self, inside: InsideBlender) -> None:
        seconds, clouds, target = inside(clouds_of, WALKING, 30)
        assert seconds == pytest.approx(1.0)
        assert min(cloud[:, 2].min() for cloud in clouds) == pytest.approx(0, abs=2e-3)
        reach = max(np.linalg.norm(cloud - [0, 0, target], axis=1).max() for cloud in clouds)
        assert reach == pytest.approx(1, abs=2e-3)
        spans = [np.ptp(cloud[:, 1]) for cloud in clouds]
        assert max(spans) > 1.5 * min(spans), "the walker strides"

    def test_casts_a_different_shadow_in_every_frame(self, host: BlenderHost) -> None:
        (_, _, first), (_, _, second) = draw_numbered(host, replace(WALKING, shadows=True), 0, 2)
        assert first is not None
        assert second is not None
        assert np.abs(first - second).max() > 0.1

    def test_leaves_no_file_behind(self, host: BlenderHost) -> None:
        frames = draw_numbered(host, replace(WALKING, shadows=True), 0, 1)
        folder = Path(frames[0][0].subject.path).parent
        assert not list(folder.glob("frame-*"))
