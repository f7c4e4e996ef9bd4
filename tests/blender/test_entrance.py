"""A pose's scale: subject and shadow grow from the subject's foot."""

import numpy as np
import pytest
from numpy.typing import NDArray

from camera_paths import Pose
from farm.blender.client import Blender
from farm.scene.shot import Frame
from farm.video.backgrounds import plain
from farm.video.composite import Compositor
from tests.support.blender import shot

pytestmark = pytest.mark.slow
SHOT = shot("draco.glb", size=(192, 108), samples=4, shadows=True)
BACKGROUND = 200, 200, 200


def draw_scaled(blender: Blender, *scales: float) -> list[tuple[Frame, NDArray[np.uint8]]]:
    """The composited pictures at these scales."""
    blender.open_shot(SHOT)
    compositor = Compositor(plain(BACKGROUND, SHOT.width, SHOT.height), 0)
    poses = [Pose(0.0, 1.0, scale) for scale in scales]
    return [(frame, compositor.over(frame).copy()) for frame in blender.frames(enumerate(poses))]


def test_hides_subject_and_shadow_at_scale_0(blender: Blender) -> None:
    [(_, picture)] = draw_scaled(blender, 0.0)
    assert (picture == BACKGROUND).all()


def test_scales_the_subject_about_its_foot(blender: Blender) -> None:
    (half, _), (whole, _) = draw_scaled(blender, 0.5, 1.0)
    assert half.subject.width == pytest.approx(whole.subject.width / 2, abs=6)
    foot = np.array(whole.ground_to_pixel).reshape(3, 3) @ [0.0, 0.0, 1.0]
    column, row = foot[:2] / foot[2]
    assert half.subject.x < column < half.subject.x + half.subject.width
    assert half.subject.y < row < half.subject.y + half.subject.height + 1


def test_scales_the_shadow_with_the_subject(blender: Blender) -> None:
    pictures = [picture for _, picture in draw_scaled(blender, 0.25, 0.5, 1.0)]
    darkened = [(picture != BACKGROUND).any(axis=-1).sum() for picture in pictures]
    assert darkened[0] < 0.5 * darkened[1] < 0.5 * 0.5 * darkened[2] * 1.5
