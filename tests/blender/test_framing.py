"""The sample models fill the frame in every aspect, as they are imported and placed by real Blender."""

from dataclasses import replace

import numpy as np
import pytest

from farm.scene.camera import Array, Lens, view
from farm.scene.shot import FULL_TURN, ShotSetup
from tests.support.blender import InsideBlender, shot

SIZES = [(960, 540), (540, 540), (540, 960)]
MODELS = ["product.glb", "walker.glb", "draco.glb", "embedded.gltf"]


def stage_of(setup: ShotSetup) -> tuple[Array, Lens]:
    """The stage's points and lens. Runs in a process with bpy."""
    from farm.blender.stage import set_up

    stage = set_up(setup)
    return stage.points, stage.lens


def larger_extent(points: Array, lens: Lens) -> float:
    """The share of the frame's width or height that the points cover over a full turn, whichever is larger."""
    pixels = np.concatenate([view(lens, azimuth, radius).pixels(points) for azimuth, radius, _ in FULL_TURN])
    return float((np.ptp(pixels, axis=0) / [lens.width, lens.height]).max())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", MODELS)
def test_fills_the_frame_in_every_aspect(inside: InsideBlender, model: str, size: tuple[int, int]) -> None:
    points, lens = inside(stage_of, replace(shot(model, size=size), shadows=True))
    assert 0.8 <= larger_extent(points, lens) <= 0.9
