"""The stage: position and size of the subject, its shadow and its light."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from camera_paths import Pose
from farm.blender.client import Blender
from farm.scene.camera import view
from farm.video import backgrounds
from farm.video.composite import Compositor
from tests.blender.models import box, glb, shot
from tests.blender.test_drawing import stage_of
from tests.support.assets import ASSETS
from tests.support.blender import InsideBlender, draw_frame

pytestmark = pytest.mark.slow
Pixels = NDArray[np.uint8]


def silhouette(picture: Pixels) -> tuple[float, float, float, float]:
    """The box of the covered pixels: left, top, right, bottom."""
    rows, columns = np.nonzero(picture[..., 3] > 127)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


@pytest.mark.parametrize("size", [(96, 54), (54, 54), (54, 96), (160, 40)])
def test_fits_the_subject_into_the_frame_in_every_aspect(
    blender: Blender, tmp_path: Path, size: tuple[int, int]
) -> None:
    model = glb(tmp_path / "tall.glb", box((-0.1, 0, -0.1), (0.1, 3, 0.1)))
    _, picture = draw_frame(blender, shot(model, size=size), azimuth=20)
    left, top, right, bottom = silhouette(picture)
    assert left > 0
    assert top > 0
    assert right < size[0]
    assert bottom < size[1]
    assert bottom - top > 0.7 * min(size)


@pytest.mark.parametrize(("offset", "scale"), [((0.0, 0.0, 0.0), 0.001), ((5.0, -40.0, 9.0), 1.0), ((0, 0, 0), 1000)])
def test_ignores_position_and_size_in_the_file(
    blender: Blender, tmp_path: Path, offset: tuple[float, float, float], scale: float
) -> None:
    points = [(x * scale, y * scale, z * scale) for x, y, z in box((-1, 0, -0.5), (1, 1, 0.5))]
    node = {"mesh": 0, "translation": list(offset), "rotation": [0, 0, 0, 1]}
    _, moved = draw_frame(blender, shot(glb(tmp_path / "moved.glb", points, nodes=[node])), azimuth=30)
    _, plain = draw_frame(blender, shot(glb(tmp_path / "plain.glb", box((-1, 0, -0.5), (1, 1, 0.5)))), azimuth=30)
    assert silhouette(moved) == pytest.approx(silhouette(plain), abs=1)


def test_moves_the_camera_to_its_right_at_positive_azimuth(blender: Blender, tmp_path: Path) -> None:
    """A slab whose broad side faces +x: narrow from the front, broad from the right, and from the left too."""
    model = glb(tmp_path / "slab.glb", [*box((0, 0, -1), (0.1, 1, 1)), *box((0, 0, 0.8), (0.1, 1.4, 1))])
    _, front = draw_frame(blender, shot(model))
    _, right = draw_frame(blender, shot(model), azimuth=90)
    assert np.ptp(silhouette(front)[::2]) < 0.5 * np.ptp(silhouette(right)[::2])
    # The tower stands at the front, which from the right is on the left of the picture.
    tower = np.nonzero(right[int(silhouette(right)[1]) + 1, :, 3] > 127)[0]
    assert tower.mean() < right.shape[1] / 2


def test_stands_the_subject_on_the_ground(blender: Blender, tmp_path: Path) -> None:
    model = glb(tmp_path / "crate.glb", box((-1, 7, -1), (1, 8, 1)))
    frame, picture = draw_frame(blender, shot(model))
    front_edge = np.array(frame.ground_to_pixel).reshape(3, 3) @ [0.0, -1 / np.sqrt(2.25), 1.0]
    assert silhouette(picture)[3] == pytest.approx(front_edge[1] / front_edge[2], abs=1.5)


def test_ignores_cameras_in_the_file(blender: Blender, tmp_path: Path) -> None:
    crate = box((-1, 0, -1), (1, 1, 1))
    nodes: list[dict[str, Any]] = [{"mesh": 0}, {"camera": 0, "translation": [50, 0, 0]}]
    _, with_camera = draw_frame(blender, shot(glb(tmp_path / "camera.glb", crate, nodes=nodes)))
    _, without = draw_frame(blender, shot(glb(tmp_path / "plain.glb", crate)))
    assert (with_camera == without).all()


def test_draws_with_the_camera_inside_the_subject(blender: Blender, tmp_path: Path) -> None:
    frame, _ = draw_frame(blender, shot(glb(tmp_path / "crate.glb", box((-1, 0, -1), (1, 1, 1)))), radius=0.01)
    assert (frame.subject.width, frame.subject.height) == (96, 54)


class TestShadow:
    @pytest.fixture
    def opacity(self, blender: Blender, tmp_path: Path) -> NDArray[np.float32]:
        frame, _ = draw_frame(blender, shot(glb(tmp_path / "crate.glb", box((-1, 0, -1), (1, 1, 1))), shadows=True))
        shadow = frame.shadow
        assert shadow
        baked: NDArray[np.float32] = np.load(shadow.path)
        assert baked.shape == (shadow.size, shadow.size)
        return baked

    def test_is_darkest_under_the_subject_and_zero_at_the_border(self, opacity: NDArray[np.float32]) -> None:
        half = len(opacity) // 2
        assert opacity.min() >= 0
        assert opacity.max() <= 1
        assert opacity[half - 5 : half + 5, half - 5 : half + 5].min() > 0.8
        border = np.ones_like(opacity, dtype=bool)
        border[2:-2, 2:-2] = False
        assert opacity[border].max() < 1 / 512  # less than half a step of eight bits

    def test_falls_away_from_the_key_light(self, opacity: NDArray[np.float32]) -> None:
        """The key stands in front, to the left: the shadow is heavier behind, to the right."""
        half = len(opacity) // 2
        assert opacity[:half, half:].sum() > 1.1 * opacity[half:, :half].sum()

    def test_is_skipped_when_disabled(self, blender: Blender, tmp_path: Path) -> None:
        model = glb(tmp_path / "crate.glb", box((-1, 0, -1), (1, 1, 1)))
        frame, _ = draw_frame(blender, shot(model, shadows=False))
        assert frame.shadow is None


def test_exposes_the_product_well(blender: Blender) -> None:
    """The sample product on white: neither blown out nor dull."""
    setup = shot(ASSETS / "product.glb", size=(192, 108))
    _, picture = draw_frame(blender, setup, azimuth=30)
    inside = picture[picture[..., 3] == 255][:, :3]
    assert (inside == 255).all(axis=1).mean() < 0.02
    assert (inside < 5).all(axis=1).mean() < 0.05
    assert 90 < inside.mean() < 200


@pytest.mark.parametrize(("azimuth", "faces"), [(35.0, "front, right"), (-50.0, "front, left"), (215.0, "back, left")])
def test_shows_the_shape_of_a_white_cube(
    blender: Blender, inside: InsideBlender, tmp_path: Path, azimuth: float, faces: str
) -> None:
    """On white: its faces differ by 15 levels or more, and none is above 245."""
    white = {"pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 1], "metallicFactor": 0.0, "roughnessFactor": 0.5}}
    model = glb(tmp_path / "cube.glb", box((-0.5, 0, -0.5), (0.5, 1, 0.5)), material=white)
    setup = replace(shot(model, size=(160, 90)), samples=16)
    points, lens = inside(stage_of, setup)
    _, picture = draw_frame(blender, setup, azimuth)
    low, high = points.min(axis=0), points.max(axis=0)
    middles = {
        "top": (0.0, 0.0, high[2]),
        "front": (0.0, low[1], high[2] / 2),
        "back": (0.0, high[1], high[2] / 2),
        "left": (low[0], 0.0, high[2] / 2),
        "right": (high[0], 0.0, high[2] / 2),
    }
    levels = []
    for face in ("top", *faces.split(", ")):
        x, y = view(lens, azimuth, 1.0).pixels(np.array([middles[face]]))[0].round().astype(int)
        levels.append(picture[y - 1 : y + 2, x - 1 : x + 2, :3].mean())
    assert max(levels) <= 245
    assert np.diff(sorted(levels)).min() >= 15, levels


def test_keeps_white_around_the_product(blender: Blender) -> None:
    setup = shot(ASSETS / "product.glb", shadows=True)
    blender.open_shot(setup)
    compositor = Compositor(backgrounds.plain((255, 255, 255), setup.width, setup.height), 0)
    (picture,) = (compositor.over(frame) for frame in blender.frames([(0, Pose(0))]))
    assert (picture[0] == 255).all()
    assert (picture[:, [0, -1]] == 255).all()
