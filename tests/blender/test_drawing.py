"""The host draws the right subject at the right position, reproducibly."""

import json
import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from farm.blender.host_process import BlenderHost
from farm.scene.camera import Array, Lens, crop, view
from farm.scene.shot import ShotSetup
from tests.support.assets import ASSETS
from tests.support.blender import Drawing, InsideBlender, draw_frames, shot

pytestmark = pytest.mark.slow
MODELS = ["product.glb", "walker.glb", "draco.glb", "embedded.gltf"]
SIZE = (192, 108)


def stage_of(setup: ShotSetup) -> tuple[Array, Lens]:
    """The stage's points and lens. Runs in a process with bpy."""
    from farm.blender.stage import set_up

    stage = set_up(setup)
    return stage.points, stage.lens


def stage_and_centre_of(setup: ShotSetup) -> tuple[Array, float]:
    """The stage's points and the height of the bounding sphere's centre. Runs in a process with bpy."""
    from farm.blender.stage import set_up

    stage = set_up(setup)
    return stage.points, stage.sphere_height


def outline(drawing: Drawing) -> tuple[int, int, int, int]:
    """The box of the pixels with an alpha of at least one half: left, top, right, bottom; the last two excluded."""
    rows, columns = np.nonzero(drawing.whole[..., 3] >= 128)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def rest_positions(name: str) -> NDArray[np.float32]:
    """All vertex positions of a GLB with one mesh, in Blender's axes (x, -z, y), parsed from the file's bytes."""
    content = (ASSETS / name).read_bytes()
    (json_length,) = struct.unpack("<I", content[12:16])
    gltf = json.loads(content[20 : 20 + json_length])
    clouds = []
    for primitive in gltf["meshes"][0]["primitives"]:
        accessor = gltf["accessors"][primitive["attributes"]["POSITION"]]
        buffer_view = gltf["bufferViews"][accessor["bufferView"]]
        start = 28 + json_length + buffer_view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        clouds.append(np.frombuffer(content, "<f4", accessor["count"] * 3, start).reshape(-1, 3))
    x, y, z = np.concatenate(clouds).T
    return np.column_stack([x, -z, y])


class TestStage:
    @pytest.mark.parametrize("model", MODELS)
    def test_centres_the_model_and_scales_it_to_the_unit_sphere(self, inside: InsideBlender, model: str) -> None:
        points, centre = inside(stage_and_centre_of, shot(model))
        low, high = points.min(axis=0), points.max(axis=0)
        assert low[2] == pytest.approx(0, abs=1e-5)
        assert (low + high)[:2] == pytest.approx([0, 0], abs=1e-5)
        assert centre == pytest.approx(high[2] / 2, abs=1e-5)
        assert np.linalg.norm(points - [0, 0, centre], axis=1).max() == pytest.approx(1, abs=1e-5)

    def test_shows_a_rigged_model_in_the_pose_of_its_file(self, inside: InsideBlender) -> None:
        points, _ = inside(stage_of, shot("walker.glb"))
        size = np.ptp(rest_positions("walker.glb"), axis=0)
        assert np.ptp(points, axis=0) / np.ptp(points[:, 2]) == pytest.approx(size / size[2], rel=1e-3)

    def test_is_rebuilt_for_every_shot(self, inside: InsideBlender) -> None:
        first, _ = inside(stage_of, shot("draco.glb"))
        inside(stage_of, shot("walker.glb"))
        again, _ = inside(stage_of, shot("draco.glb"))
        assert (first == again).all()


class TestSubjectPosition:
    @pytest.mark.parametrize("model", MODELS)
    def test_matches_the_projection_of_its_points(self, host: BlenderHost, inside: InsideBlender, model: str) -> None:
        setup = shot(model, size=SIZE, samples=4)
        points, lens = inside(stage_of, setup)
        for azimuth, drawing in zip((0.0, 65.0), draw_frames(host, setup, 0.0, 65.0), strict=True):
            now = view(lens, azimuth, 1.0)
            frame = drawing.frame
            layer = frame.subject
            box = (layer.x, layer.y, layer.x + layer.width, layer.y + layer.height)
            assert box == crop(now, points, 2)
            pixels = now.pixels(points)
            expected = [*pixels.min(axis=0), *pixels.max(axis=0)]
            assert outline(drawing) == pytest.approx(expected, abs=1.0)
            ground = np.array(frame.ground_to_pixel).reshape(3, 3)
            assert ground / ground[2, 2] == pytest.approx(now.ground_to_pixel / now.ground_to_pixel[2, 2])

    def test_is_not_cut_off_by_the_crop(self, host: BlenderHost) -> None:
        for drawing in draw_frames(host, shot("product.glb", size=SIZE, samples=4), 0.0, 40.0, 200.0):
            alpha = drawing.pixels[..., 3]
            assert not alpha[[0, -1]].any()
            assert not alpha[:, [0, -1]].any()

    def test_shows_the_back_from_the_opposite_azimuth(self, host: BlenderHost) -> None:
        front, back = draw_frames(host, shot("product.glb"), 0.0, 180.0)
        mirrored = back.whole[:, ::-1, 3] >= 128
        covered = front.whole[..., 3] >= 128
        assert (covered & mirrored).sum() / (covered | mirrored).sum() > 0.8
        both = covered & mirrored
        assert np.abs(front.whole[both, :3].astype(int) - back.whole[:, ::-1][both, :3]).mean() > 10


class TestPixels:
    def test_are_reproducible(self, host: BlenderHost) -> None:
        setup = shot("product.glb", samples=2)
        once = draw_frames(host, setup, 0.0, 20.0)
        draw_frames(host, shot("walker.glb"), 5.0)
        again = draw_frames(host, setup, 0.0, 20.0)
        assert [drawing.frame for drawing in once] == [drawing.frame for drawing in again]
        for one, other in zip(once, again, strict=True):
            assert one.pixels.tobytes() == other.pixels.tobytes()

    def test_do_not_depend_on_earlier_frames(self, host: BlenderHost) -> None:
        setup = shot("product.glb", samples=2)
        [alone] = draw_frames(host, setup, 20.0)
        *_, last = draw_frames(host, setup, 0.0, 90.0, 20.0)
        assert alone.pixels.tobytes() == last.pixels.tobytes()

    @pytest.mark.parametrize("model", MODELS)
    def test_fill_the_frame_with_an_opaque_lit_subject(self, host: BlenderHost, model: str) -> None:
        [drawing] = draw_frames(host, shot(model, samples=2), 0.0)
        opaque = drawing.whole[..., 3] == 255
        _, top, _, bottom = outline(drawing)
        assert bottom - top > 0.45 * drawing.whole.shape[0]
        assert 0.02 < opaque.mean() < 0.6
        assert 25 < drawing.whole[opaque, :3].mean() < 230
        assert (drawing.whole[[0, -1], :, 3] == 0).all()

    def test_are_the_same_with_and_without_a_shadow(self, host: BlenderHost) -> None:
        """Baking the shadow does not change the stage."""
        [without] = draw_frames(host, shot("product.glb", samples=2), 10.0)
        [with_shadow] = draw_frames(host, shot("product.glb", samples=2, shadows=True), 10.0)
        assert without.pixels.tobytes() == with_shadow.pixels.tobytes()
