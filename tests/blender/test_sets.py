"""A template's set is drawn with the subject, and is left out of framing, datasets, floor shadow and mirror image."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from camera_paths import Pose
from farm import templates
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.errors import BadModel
from farm.scene.shot import Engine, Frame, Layer, ShotSetup
from farm.templates import contract
from tests.blender.materials import Part, parts, sheet, turned
from tests.blender.models import box, glb
from tests.blender.test_set_violations import backdrop, gobo, no_set, textured_floor
from tests.blender.test_sides import CRATE, GREEN
from tests.dataset.dataset import Dataset
from tests.dataset.drawing import drawn, spec
from tests.support.blender import InsideBlender, shot
from tests.support.templates import PEDESTAL, Change, save_changed

pytestmark = pytest.mark.slow
SIZE = (160, 90)
Changed = Callable[[Change], Path]
Picture = NDArray[np.float32]


def gobo_alone(bpy: Any) -> None:
    """A gobo in the key light, nothing on the floor but the baked shadow."""
    gobo(bpy)
    bpy.data.objects["Gobo"].location = (-1.0, -1.0, 1.5)
    bpy.data.objects.remove(bpy.data.objects["Column"])
    bpy.data.objects["Ground"]["shadow_strength"] = 1.0


def shadow_alone(bpy: Any) -> None:
    no_set(bpy)
    bpy.data.objects["Ground"]["shadow_strength"] = 1.0


def floor_with_mirror_image(bpy: Any) -> None:
    textured_floor(bpy)
    bpy.data.objects["Ground"]["reflector_strength"] = 0.5


def mirror_image_alone(bpy: Any) -> None:
    floor_with_mirror_image(bpy)
    bpy.data.objects.remove(bpy.data.objects["Floor"])
    bpy.data.collections.remove(bpy.data.collections["Set"])


@pytest.fixture
def changed(inside: InsideBlender, tmp_path: Path) -> Changed:
    """Returns the pedestal with a change, saved."""

    def save(change: Change) -> Path:
        target = tmp_path / f"{change.__name__}.blend"
        inside(save_changed, change, target, PEDESTAL)
        return target

    return save


@pytest.fixture
def bare(changed: Changed) -> Path:
    """The pedestal's light and camera without its set."""
    return changed(no_set)


def crate(path: Path, width: float, height: float) -> Path:
    return glb(path, box((-width / 2, 0, -width / 2), (width / 2, height, width / 2)))


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    return crate(tmp_path / "cube.glb", 1, 1)


def setup(
    model: Path, template: Path = PEDESTAL, *, size: tuple[int, int] = SIZE, engine: Engine = "cycles"
) -> ShotSetup:
    return replace(shot(model, size=size, samples=8, engine=engine, shadows=True), template=str(template))


def on_frame(layer: Layer, shot: ShotSetup) -> Picture:
    """A layer on the full frame: RGBA from 0 to 1."""
    kind, full = ("u1", 255) if shot.bits == 8 else ("<u2", 65535)
    pixels = np.fromfile(layer.path, kind).reshape(layer.height, layer.width, 4)
    whole = np.zeros((shot.height, shot.width, 4), dtype=np.float32)
    whole[layer.y : layer.y + layer.height, layer.x : layer.x + layer.width] = pixels.astype(np.float32) / full
    return whole


def draw(blender: Blender, shot: ShotSetup, *poses: Pose) -> list[tuple[Frame, Picture]]:
    blender.open_shot(shot)
    return [(frame, on_frame(frame.subject, shot)) for frame in blender.frames(enumerate(poses or [Pose(0)]))]


@pytest.mark.parametrize("engine", ["cycles", "eevee"])
class TestFilm:
    def test_holds_the_set_below_the_subject(self, blender: Blender, bare: Path, cube: Path, engine: Engine) -> None:
        [(_, without)] = draw(blender, setup(cube, bare, engine=engine))
        [(_, seen)] = draw(blender, setup(cube, engine=engine))
        subject = without[..., 3] == 1
        added = (seen[..., 3] == 1) & ~subject
        assert (seen[subject, 3] == 1).all()
        assert added.sum() > subject.sum() / 4
        assert seen[-1, SIZE[0] // 2, 3] == 1, "the column leaves the frame below"
        assert added[: SIZE[1] // 3].sum() == 0

    def test_shows_the_shadow_on_the_set(self, blender: Blender, bare: Path, cube: Path, engine: Engine) -> None:
        hidden, shown = Pose(200, scale=0.0), Pose(200, scale=1.0)
        [(_, empty), (_, seen)] = draw(blender, setup(cube, engine=engine), hidden, shown)
        [(_, subject)] = draw(blender, setup(cube, bare, engine=engine), shown)
        column = (empty[..., 3] == 1) & (subject[..., 3] == 0)
        darker = (empty - seen)[column, :3].mean(axis=1)
        assert np.percentile(darker, 98) > 0.1
        assert np.median(darker) < 0.05, "the far side of the column stays as it is"

    def test_holds_the_set_alone_where_the_subject_is_too_small(
        self, blender: Blender, cube: Path, engine: Engine
    ) -> None:
        [(_, empty), (_, again)] = draw(blender, setup(cube, engine=engine), Pose(0, scale=0.0), Pose(0, scale=0.0))
        assert (empty[..., 3] == 1).sum() > 1000
        assert (empty == again).all()

    def test_shows_a_backdrop_from_its_front_only(
        self, blender: Blender, changed: Changed, tmp_path: Path, engine: Engine
    ) -> None:
        model = parts(tmp_path / "green.glb", Part(CRATE, GREEN))
        shot, poses = setup(model, changed(backdrop), engine=engine), (Pose(0), Pose(180))
        [(_, front), (_, back)] = draw(blender, shot, *poses)
        assert (front[0, :, 3] == 1).all()
        assert (back[0, :, 3] == 0).all()
        for seen in (front, back):
            red, green, _ = seen[40:50, 75:85, :3].mean(axis=(0, 1))
            assert green > 1.5 * red, "the backdrop does not hide the model"

    def test_does_not_hold_a_gobo(
        self, blender: Blender, bare: Path, changed: Changed, cube: Path, engine: Engine
    ) -> None:
        [(_, without)] = draw(blender, setup(cube, bare, engine=engine))
        [(_, seen)] = draw(blender, setup(cube, changed(gobo_alone), engine=engine))
        assert (seen[..., 3] == without[..., 3]).mean() > 0.99


class TestPro:
    def test_has_the_set_in_the_film_with_its_alpha(self, blender: Blender, cube: Path) -> None:
        shot = replace(setup(cube), bits=16)
        [(frame, seen)] = draw(blender, shot)
        assert frame.bits == 16
        column = seen[-1]
        assert column[SIZE[0] // 2, 3] == 1
        assert column[0, 3] == 0
        edge = column[(column[:, 3] > 0) & (column[:, 3] < 1)]
        assert len(edge) in {1, 2, 3, 4}, "its sides are smooth"


class TestFraming:
    @pytest.mark.parametrize("size", [(96, 54), (54, 96), (64, 64)])
    def test_is_that_of_the_subject(self, blender: Blender, bare: Path, cube: Path, size: tuple[int, int]) -> None:
        poses = Pose(0), Pose(75, radius=1.3)
        with_set = draw(blender, setup(cube, size=size), *poses)
        without = draw(blender, setup(cube, bare, size=size), *poses)
        assert [frame.ground_to_pixel for frame, _ in with_set] == [frame.ground_to_pixel for frame, _ in without]


class TestFootprint:
    @pytest.mark.parametrize(
        ("width", "height", "radius"),
        [(1.0, 1.0, 0.5**0.5 / 0.75**0.5), (2.0, 0.1, 0.997), (0.1, 2.0, contract.MIN_FOOTPRINT_RADIUS)],
        ids=["cube", "flat", "tall"],
    )
    def test_makes_the_column_as_wide_as_the_subject_needs(
        self, blender: Blender, tmp_path: Path, width: float, height: float, radius: float
    ) -> None:
        """At its top, where the outline is a circle on the floor."""
        shot = setup(crate(tmp_path / "crate.glb", width, height), size=(160, 160))
        # The column alone; the whole crate gives the projection of the floor.
        [(_, seen), (whole, _)] = draw(blender, shot, Pose(0, scale=0.0), Pose(0))
        turns = np.linspace(0, 2 * np.pi, 200)
        circle = np.array([1.25 * radius * np.cos(turns), 1.25 * radius * np.sin(turns), np.ones(200)])
        columns, _, depth = np.array(whole.ground_to_pixel).reshape(3, 3) @ circle
        expected = np.ptp(columns / depth)
        covered = np.nonzero((seen[..., 3] > 0.5).any(axis=0))[0]
        assert np.ptp(covered) + 1 == pytest.approx(expected, abs=3)


class TestFloor:
    def test_has_no_shadow_and_no_mirror_image_on_the_pedestal(self, blender: Blender, cube: Path) -> None:
        [(frame, _)] = draw(blender, replace(setup(cube), reflector=True))
        assert frame.shadow is None
        assert frame.reflection is None

    def test_has_the_same_shadow_and_mirror_image_under_a_set(
        self, blender: Blender, changed: Changed, cube: Path
    ) -> None:
        drawings = []
        for change in (floor_with_mirror_image, mirror_image_alone):
            shot = replace(setup(cube, changed(change)), reflector=True)
            blender.open_shot(shot)
            [layers] = [
                (np.load(frame.shadow.path), on_frame(frame.reflection, shot))
                for frame in blender.frames([(0, Pose(30))])
                if frame.shadow and frame.reflection
            ]
            drawings.append(layers)
        for one, other in zip(*drawings, strict=True):
            assert one.max() > 0.1
            assert (one == other).all()

    def test_receives_a_gobos_shadow(self, blender: Blender, changed: Changed, cube: Path) -> None:
        shadows = []
        for change in (shadow_alone, gobo_alone):
            [(frame, _)] = draw(blender, setup(cube, changed(change)))
            assert frame.shadow
            shadows.append(np.load(frame.shadow.path))
        assert (shadows[1] - shadows[0]).max() > 0.1


class TestUnseenModel:
    def test_is_refused_on_a_set_as_well(self, blender: Blender, tmp_path: Path) -> None:
        model = parts(tmp_path / "sheet.glb", Part(turned(sheet(0)), GREEN))
        with pytest.raises(BadModel, match="Nothing of the model is visible"):
            draw(blender, setup(model))
        [(_, seen)] = draw(blender, setup(model), Pose(180))
        assert seen[..., 3].any()


class TestDataset:
    def test_is_the_same_as_without_the_set(
        self, host: BlenderHost, bare: Path, cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bare.rename(tmp_path / "bare.blend")
        (tmp_path / "bare.toml").write_bytes(PEDESTAL.with_suffix(".toml").read_bytes())
        monkeypatch.setenv("FARM_TEMPLATES", str(tmp_path))
        assert {"bare", "pedestal"} <= set(templates.names())
        datasets = []
        for name in ("pedestal", "bare"):
            (folder := tmp_path / name).mkdir()
            order = replace(spec("sphere", views=6, side=96), template=name)
            datasets.append(Dataset.read(drawn(host, cube, order, folder)))
        with_set, without = ({k: v for k, v in each.files.items() if k != "metadata/dataset.json"} for each in datasets)
        assert len(with_set) > 6 * 3, "six views of several pictures, and the cameras"
        assert with_set == without
