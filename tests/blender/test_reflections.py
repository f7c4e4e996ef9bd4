"""The reflector: a mirror image below the model that fades with height and is blurred by the floor's roughness."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from camera_paths import Pose
from farm.blender.client import Blender
from farm.scene.camera import Lens, mirrored, view
from farm.scene.shot import Frame, Layer, ShotSetup
from tests.blender.models import box, glb
from tests.support.blender import InsideBlender, shot

pytestmark = pytest.mark.slow
Plane = NDArray[np.float32]
LENS = Lens.around_sphere(focal_length=85, elevation=12, margin=1.12, target=0.8, width=192, height=108)
SIZE = (192, 108)


def picture(layer: Layer, setup: ShotSetup) -> Plane:
    """A layer's RGBA on the full frame, from 0 to 1, cropped to the frame."""
    kind, full = ("u1", 255) if setup.bits == 8 else ("<u2", 65535)
    values = np.fromfile(layer.path, kind).reshape(layer.height, layer.width, 4).astype(np.float32) / full
    whole = np.zeros((setup.height, setup.width, 4), dtype=np.float32)
    bottom = min(layer.y + layer.height, setup.height)
    whole[layer.y : bottom, layer.x : layer.x + layer.width] = values[: bottom - layer.y]
    return whole


def draw_frame(blender: Blender, setup: ShotSetup, azimuth: float = 30.0) -> tuple[Frame, Plane, Plane]:
    """A frame, its subject and its mirror image."""
    blender.open_shot(setup)
    [drawn] = [
        (frame, picture(frame.subject, setup), picture(reflection_of(frame), setup))
        for frame in blender.frames([(0, Pose(azimuth))])
    ]
    return drawn


def reflection_of(frame: Frame) -> Layer:
    assert frame.reflection, "the mirror image was requested"
    return frame.reflection


class TestMirroredView:
    @given(azimuth=st.floats(-360, 360), x=st.floats(-1, 1), y=st.floats(-1, 1), z=st.floats(0, 2))
    def test_projects_a_point_to_its_mirror_image_upside_down(
        self, azimuth: float, x: float, y: float, z: float
    ) -> None:
        camera = view(LENS, azimuth, 1.0)
        below = mirrored(camera)
        assert np.linalg.det(below.axes) == pytest.approx(1), "a camera cannot be left-handed"
        [seen] = below.pixels(np.array([[x, y, z]]))
        [image] = camera.pixels(np.array([[x, y, -z]]))
        assert seen[0] == pytest.approx(image[0], abs=1e-6)
        assert LENS.height - seen[1] == pytest.approx(image[1], abs=1e-6)


class TestMirrorImage:
    def test_is_directly_below_the_model(self, blender: Blender, tmp_path: Path) -> None:
        model = glb(tmp_path / "crate.glb", box((-1, 0, -1), (1, 1, 1)))
        setup = replace(shot(model, size=SIZE, samples=8), reflector=True)
        frame, subject, image = draw_frame(blender, setup, azimuth=0.0)
        foot = np.array(frame.ground_to_pixel).reshape(3, 3) @ [0.0, -2 / 3, 1.0]  # the middle of the front edge
        column, row = (foot[:2] / foot[2]).astype(int)
        assert subject[row - 3, column, 3] == 1
        assert image[row + 3, column, 3] > 0.1
        assert image[row + 3, column, :3] == pytest.approx(subject[row - 3, column, :3], abs=0.15)

    def test_fades_with_height_to_zero(self, blender: Blender, tmp_path: Path) -> None:
        model = glb(tmp_path / "wall.glb", box((-1, 0, -0.3), (1, 1.2, 0.3)))
        setup = replace(shot(model, size=(108, 192), samples=8), reflector=True)
        frame, _, image = draw_frame(blender, setup, azimuth=0.0)
        reflection = reflection_of(frame)
        column = image[:, reflection.x + reflection.width // 2, 3]
        seen = column[column > 0]
        assert (np.diff(seen[2:]) <= 0.02).all()
        assert seen.max() < 0.6
        assert column[-1] == 0

    def test_holds_as_many_bits_as_the_frame(self, blender: Blender) -> None:
        setup = replace(shot("draco.glb", size=SIZE, samples=4), reflector=True)
        _, subject, image = draw_frame(blender, setup)
        _, fine_subject, fine_image = draw_frame(blender, replace(setup, bits=16))
        solid = subject[..., 3] == 1
        assert np.abs(subject - fine_subject)[solid].max() < 1.5 / 255
        assert np.abs(subject - fine_subject)[..., 3].max() < 1.5 / 255
        assert np.abs(image - fine_image)[..., 3].max() < 2 / 255
        assert len(np.unique(fine_subject[solid])) > 300, "finer than eight bits"


def faded(colours: Plane, where: Plane, reach: float) -> Plane:
    """farm.blender.reflections.fade_out, run in a process with bpy."""
    from farm.blender.reflections import fade_out

    return fade_out(colours, where, fade=0.5, strength=0.4, reach=reach)


def blurred(plane: Plane, reach: float) -> Plane:
    """farm.blender.reflections.blur, run in a process with bpy."""
    from farm.blender.reflections import blur

    return blur(plane, reach)


class TestFade:
    def test_goes_from_the_strength_to_zero_at_the_fade_height(self, inside: InsideBlender) -> None:
        height = np.linspace(0, 1, 11, dtype=np.float32)
        where = np.stack([np.ones((4, 11)), np.ones((4, 11)), np.tile(height, (4, 1))], axis=-1).astype(np.float32)
        image = inside(faded, np.ones((4, 11, 4), dtype=np.float32), where, 0.0)
        assert image[0, :, 3] == pytest.approx(0.4 * np.clip(1 - height / 0.5, 0, 1) ** 2, abs=1e-6)

    def test_uses_the_neighbours_height_at_the_silhouettes_edge(self, inside: InsideBlender) -> None:
        """Otherwise the silhouette's outermost pixels, whose height is unknown, would show as a bright outline."""
        where = np.zeros((9, 9, 3), dtype=np.float32)
        where[:, :5] = 1.0, 1.0, 0.45
        image = inside(faded, np.ones((9, 9, 4), dtype=np.float32), where, 0.0)
        assert image[4, 5, 3] == pytest.approx(image[4, 4, 3], abs=1e-4)


class TestBlur:
    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(reach=st.floats(0, 6))
    def test_preserves_the_sum_and_is_symmetric(self, inside: InsideBlender, reach: float) -> None:
        point = np.zeros((41, 41, 1), dtype=np.float32)
        point[20, 20] = 1
        spread = inside(blurred, point, reach)
        assert spread.sum() == pytest.approx(1, abs=1e-4)
        assert spread == pytest.approx(spread[::-1, ::-1], abs=1e-6)
        assert spread == pytest.approx(spread.transpose(1, 0, 2), abs=1e-6)
