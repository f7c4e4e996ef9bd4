"""Sides of surfaces: backs that the camera does not see, shadows, normals against the winding, empty frames."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camera_paths import Pose
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.errors import BadModel
from farm.scene import exr
from farm.scene.shot import Engine
from farm.scene.views import Direction, pose
from tests.blender.materials import Part, flat_normals, parts, sheet, turned
from tests.blender.models import box
from tests.support.blender import bake, draw_frame, shot

pytestmark = pytest.mark.slow
SIZE = (64, 64)
FRONT, BEHIND = 0.0, 180.0


def colour(red: float, green: float, blue: float, *, double_sided: bool = False, **more: Any) -> dict[str, Any]:
    """A matte material; `more` are its further members."""
    pbr = {"baseColorFactor": [red, green, blue, 1.0], "metallicFactor": 0.0, "roughnessFactor": 1.0}
    return {"pbrMetallicRoughness": pbr} | ({"doubleSided": True} if double_sided else {}) | more


RED, GREEN, WHITE, BLACK = colour(0.6, 0, 0), colour(0, 0.6, 0), colour(0.7, 0.7, 0.7), colour(0, 0, 0)
CRATE, HULL = box((-1, 0, -1), (1, 2, 1)), box((-1.1, -0.1, -1.1), (1.1, 2.1, 1.1))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "model.glb"


class TestSingleSided:
    def test_is_seen_from_the_front(self, blender: Blender, model: Path) -> None:
        _, seen = draw_frame(blender, shot(parts(model, Part(sheet(0), GREEN)), size=SIZE, samples=4), FRONT)
        assert (seen[28:36, 28:36, 3] == 255).all()

    @pytest.mark.parametrize(
        ("engine", "double_sided"), [("cycles", False), ("cycles", True), ("eevee", False)], ids=str
    )
    def test_lets_the_camera_see_through_its_back(
        self, blender: Blender, model: Path, engine: Engine, double_sided: bool
    ) -> None:
        """Whether what is behind it is single-sided, too, or not."""
        behind = Part(sheet(-0.3, half=0.5), colour(0.6, 0, 0, double_sided=double_sided))
        parts(model, Part(turned(sheet(0.3)), GREEN), behind)
        _, seen = draw_frame(blender, shot(model, size=SIZE, samples=4, engine=engine), FRONT)
        red, green, _, _ = seen[28:36, 28:36].reshape(-1, 4).mean(axis=0)
        assert red > 3 * green
        covered = np.argwhere(seen[..., 3] > 127)
        assert np.ptp(covered, axis=0).max() < 36, "the sheet's outline is visible"

    def test_shows_a_doubled_sheet_from_both_sides(self, blender: Blender, model: Path) -> None:
        parts(model, Part(sheet(0), GREEN), Part(turned(sheet(0)), RED))
        setup = shot(model, size=SIZE, samples=4)
        for azimuth, (shown, other) in {FRONT: (1, 0), BEHIND: (0, 1)}.items():
            _, seen = draw_frame(blender, setup, azimuth)
            middle = seen[28:36, 28:36].reshape(-1, 4).mean(axis=0)
            assert middle[shown] > 3 * middle[other]
            assert middle[3] == 255

    def test_is_seen_from_both_sides_if_double_sided(self, blender: Blender, model: Path) -> None:
        parts(model, Part(sheet(0), colour(0.6, 0, 0, double_sided=True)))
        _, seen = draw_frame(blender, shot(model, size=SIZE, samples=4), BEHIND)
        assert (seen[28:36, 28:36, 3] == 255).all()

    @pytest.mark.parametrize("layers", [100])
    def test_is_seen_through_any_number_of_backs(self, blender: Blender, model: Path, layers: int) -> None:
        backs = [Part(turned(sheet(0.4 + 0.003 * layer)), GREEN) for layer in range(layers // 2)]
        parts(model, *backs, Part(sheet(0, half=0.5), RED))
        _, seen = draw_frame(blender, shot(model, size=SIZE, samples=4), FRONT)
        red, green, _, alpha = seen[28:36, 28:36].reshape(-1, 4).mean(axis=0)
        assert red > 3 * green
        assert alpha == 255

    @pytest.mark.parametrize("transparency", ["BLEND", "MASK"])
    def test_is_culled_if_see_through(self, blender: Blender, model: Path, transparency: str) -> None:
        glass = colour(0, 0.6, 0, alphaMode=transparency)
        parts(model, Part(turned(sheet(0.3)), glass), Part(sheet(-0.3, half=0.5), RED))
        _, seen = draw_frame(blender, shot(model, size=SIZE, samples=4), FRONT)
        red, green, _, _ = seen[28:36, 28:36].reshape(-1, 4).mean(axis=0)
        assert red > 3 * green

    def test_casts_the_shadow_of_a_double_sided_one(self, host: BlenderHost, model: Path) -> None:
        shadows = []
        for double_sided in (False, True):
            table = [(x, 1.0, z - 1) for x, z, _ in sheet(0)]  # its top is its back
            top = Part(table, colour(0.6, 0.6, 0.6, double_sided=double_sided))
            parts(model, top, Part(box((-0.05, 0, -0.05), (0.05, 1, 0.05)), WHITE))
            shadows.append(bake(host, shot(model, shadows=True, samples=4))[1])
        assert shadows[0].max() > 0.3
        assert np.abs(shadows[0] - shadows[1]).max() < 0.02

    @pytest.mark.parametrize("scale", [[-1, 1, 1], [-1, -1, -1]], ids=str)
    def test_is_the_same_side_in_a_mirrored_node(self, blender: Blender, model: Path, scale: list[int]) -> None:
        crate = Part(box((-1, -1, -1), (1, 1, 1)), WHITE)
        setup = shot(model, size=SIZE, samples=8)
        parts(model, crate)
        _, plain = draw_frame(blender, setup, 30.0)
        parts(model, crate, scale=scale)
        _, mirrored = draw_frame(blender, setup, 30.0)
        assert np.abs(plain.astype(int) - mirrored).mean() < 1


class TestGroundTruth:
    """The depth and alpha of a dataset's view."""

    @pytest.mark.parametrize("mode", ["OPAQUE", "BLEND"])
    def test_leaves_out_what_the_camera_does_not_see(self, blender: Blender, model: Path, mode: str) -> None:
        front = Part(turned(sheet(0.5)), colour(0, 0.6, 0, alphaMode=mode))
        parts(model, front, Part(sheet(-0.5, half=0.5), RED))
        blender.open_views(shot(model, size=SIZE, samples=4))
        front_view = pose(Direction(0.0, 0.0), SIZE[0])
        [channels] = [exr.read(Path(view.passes.path)) for view in blender.views([(0, front_view)])]
        covered = channels["Combined.A"] > 0.5
        assert 0.1 < covered.mean() < 0.2, "the far sheet has a quarter of the near one's area"
        assert np.ptp(channels["Depth.Z"][covered]) < 0.01


class TestInvertedHull:
    """An outline: a larger black copy of the product, turned inside out."""

    @pytest.mark.parametrize("engine", ["cycles", "eevee"])
    def test_leaves_the_product_lit_and_draws_its_outline(self, blender: Blender, model: Path, engine: Engine) -> None:
        setup = shot(model, size=SIZE, samples=16, engine=engine)
        outlined = parts(model, Part(CRATE, WHITE), Part(turned(HULL), BLACK))
        _, seen = draw_frame(blender, setup, 20.0)
        parts(outlined, Part(CRATE, WHITE), Part(turned(HULL), colour(1, 1, 1, alphaMode="BLEND") | FAINT))
        _, plain = draw_frame(blender, setup, 20.0)
        before, after = (each[24:40, 24:40, :3].mean() for each in (plain, seen))
        assert after > 0.9 * before
        edge = (seen[..., 3] == 255) & (plain[..., 3] < 10)
        assert edge.sum() > 40
        assert seen[edge][:, :3].mean() < 60

    def test_casts_its_shadow_on_the_ground(self, host: BlenderHost, model: Path) -> None:
        _, upright = bake(host, shot(parts(model, Part(CRATE, WHITE)), shadows=True, samples=4))
        _, inverted = bake(host, shot(parts(model, Part(turned(CRATE), WHITE)), shadows=True, samples=4))
        assert np.abs(upright - inverted).max() < 0.02


FAINT = {"pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 0.004]}}  # framed as the opaque one


class TestNormals:
    @pytest.mark.parametrize("double_sided", [False, True])
    def test_are_turned_where_they_oppose_the_winding(self, blender: Blender, model: Path, double_sided: bool) -> None:
        white = colour(0.7, 0.7, 0.7, double_sided=double_sided)
        pictures = []
        for sign in (1.0, -1.0):
            parts(model, Part(CRATE, white, flat_normals(CRATE, sign)))
            pictures.append(draw_frame(blender, shot(model, size=SIZE, samples=8), 30.0)[1].astype(int))
        assert np.abs(pictures[0] - pictures[1]).max() < 12
        assert pictures[1][pictures[1][..., 3] == 255][:, :3].mean() > 90

    def test_of_other_materials_stay(self, blender: Blender, model: Path) -> None:
        """Only the part whose normals oppose its faces is changed."""
        left, right = box((-2, 0, -1), (-0.2, 2, 1)), box((0.2, 0, -1), (2, 2, 1))
        pictures = []
        for sign in (1.0, -1.0):
            wrong = Part(right, WHITE, flat_normals(right, sign))
            parts(model, Part(left, WHITE, flat_normals(left)), wrong)
            pictures.append(draw_frame(blender, shot(model, size=SIZE, samples=8), 0.0)[1].astype(int))
        assert np.abs(pictures[0] - pictures[1]).max() < 12


class TestEmptyFrame:
    def test_is_refused(self, blender: Blender, model: Path) -> None:
        blender.open_shot(shot(parts(model, Part(sheet(0), RED)), size=SIZE))
        with pytest.raises(BadModel, match=r"visible in frame 7.*doubleSided"):
            list(blender.frames([(7, Pose(BEHIND))]))

    def test_is_drawn_where_the_model_has_hardly_appeared_yet(self, blender: Blender, model: Path) -> None:
        blender.open_shot(shot(parts(model, Part(sheet(0), RED)), size=SIZE))
        assert len(list(blender.frames([(0, Pose(BEHIND, 1.0, 0.02))]))) == 1

    def test_is_drawn_of_a_sheet_seen_from_its_edge(self, blender: Blender, model: Path) -> None:
        parts(model, Part(sheet(0), colour(0.6, 0, 0, double_sided=True)))
        blender.open_shot(replace(shot(model, size=SIZE), engine="cycles"))
        assert len(list(blender.frames([(0, Pose(90.0))]))) == 1
