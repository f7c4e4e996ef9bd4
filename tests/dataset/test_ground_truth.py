"""Depth, masks and normals of datasets agree with rays cast through the source model.

trimesh reads the source model and Embree casts the rays; of the farm they use transforms.json and dataset.json only.
"""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm.blender.host_process import BlenderHost
from farm.scene import views
from farm.scene.views import Direction
from farm.tiers import Coverage
from tests.dataset import models, proof
from tests.dataset.dataset import Array, Dataset
from tests.dataset.drawing import SIDE, drawn, spec
from tests.dataset.models import MODELS

pytestmark = pytest.mark.slow

CASES = [(name, coverage) for name in MODELS for coverage in ("hemisphere", "sphere")]
DatasetOf = Callable[[str, Coverage], Dataset]


def source(name: str, folder: Path) -> Any:
    return models.source(MODELS[name](folder))


@pytest.mark.parametrize(("name", "coverage"), CASES)
class TestAgainstRays:
    def test_agrees_in_depth_masks_and_normals(
        self, dataset_of: DatasetOf, name: str, coverage: Coverage, tmp_path: Path
    ) -> None:
        found = proof.against_mesh(dataset_of(name, coverage), source(name, tmp_path))
        assert found.near_enough >= 0.999
        assert found.overlap >= 0.999
        assert found.degrees < 0.5
        assert found.bounded

    def test_puts_points_of_all_depths_on_the_surface(
        self, dataset_of: DatasetOf, name: str, coverage: Coverage, tmp_path: Path
    ) -> None:
        assert proof.fused(dataset_of(name, coverage), source(name, tmp_path)) < 1e-3

    def test_puts_the_sparse_points_on_the_surface(
        self, dataset_of: DatasetOf, name: str, coverage: Coverage, tmp_path: Path
    ) -> None:
        dataset = dataset_of(name, coverage)
        mesh = proof.mesh_in_world(dataset, source(name, tmp_path))
        points, colours = dataset.cloud()
        some = np.random.default_rng(1).choice(len(points), 300, replace=False)
        assert max(proof.distance_to(mesh, point) for point in points[some]) < 1e-4
        assert len(points) > 10_000
        assert np.linalg.norm(points, axis=1).max() < 1 + 1e-3, "points outside the documented sphere"
        assert (colours.min(axis=1) < 250).mean() > 0.9, "colours of the background"


def placed(
    azimuth: float, elevation: float, *, distance: float, roll: float = 0, aside: tuple[float, float] = (0, 0)
) -> Array:
    """A camera that looks at the origin, then is moved aside to its right and upwards, and rolled by degrees."""
    pose = views.pose(Direction(azimuth, elevation), SIDE, distance)
    pose[:3, 3] += pose[:3, 0] * aside[0] + pose[:3, 1] * aside[1]
    cosine, sine = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    pose[:3, :2] = pose[:3, :2] @ np.array([[cosine, -sine], [sine, cosine]])
    return pose


@pytest.fixture(scope="module")
def black(host: BlenderHost, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Any]:
    """A dataset of the concave model painted black, and the model."""
    folder = tmp_path_factory.mktemp("black")
    model = models.concave(folder, models.BLACK)
    return Dataset.read(drawn(host, model, spec("sphere", views=4), folder)), models.source(model)


@pytest.fixture(scope="module")
def picture_shift(black: tuple[Dataset, Any]) -> Array:
    """The offset of the black model's pictures in pixels."""
    return proof.picture_shift(*black)


class TestPictures:
    """The pictures match their cameras to a fraction of a pixel, so that training on them is unbiased."""

    def test_show_the_silhouette_where_rays_find_it(self, picture_shift: Array) -> None:
        assert np.abs(picture_shift).max() < 0.05

    @pytest.mark.parametrize(("key", "axis"), [("cx", 0), ("cy", 1)])
    def test_are_measured_to_a_tenth_of_a_pixel(
        self, black: tuple[Dataset, Any], picture_shift: Array, key: str, axis: int
    ) -> None:
        dataset, source = black
        offset = proof.picture_shift(changed(dataset, shift(key, 0.1)), source) - picture_shift
        assert offset[axis] == pytest.approx(-0.1, abs=0.03)
        assert offset[1 - axis] == pytest.approx(0, abs=0.03)


class TestOtherSettings:
    """Rotation and engine do not affect the ground truth."""

    def test_reports_the_position_of_a_rotated_model(self, host: BlenderHost, tmp_path: Path) -> None:
        turned = spec(views=4, tilt_x=25, pan_x=-70, roll_z=15)
        model = models.concave(tmp_path)
        found = proof.against_mesh(Dataset.read(drawn(host, model, turned, tmp_path)), models.source(model))
        assert found.near_enough >= 0.999
        assert found.overlap >= 0.999

    def test_agrees_from_cameras_of_ones_own(self, host: BlenderHost, tmp_path: Path) -> None:
        """Rolled, off the middle, from straight above, so near that the picture cuts the model, and from afar."""
        cameras = [
            placed(40, 20, distance=3.2, roll=35),
            placed(-100, -40, distance=3.5, aside=(0.5, -0.4)),
            placed(10, 90, distance=3.3),
            placed(200, 5, distance=1.6),
            placed(120, 30, distance=8.0, roll=180),
        ]
        own, model = spec(views=len(cameras), cameras=[each.tolist() for each in cameras]), models.concave(tmp_path)
        dataset = Dataset.read(drawn(host, model, own, tmp_path))
        assert [dataset.pose(view) for view in dataset.views] == [pytest.approx(each, abs=1e-9) for each in cameras]
        assert dataset.mask(3)[0].any(), "the near camera sees the model whole"
        found = proof.against_mesh(dataset, models.source(model))
        assert found.near_enough >= 0.999
        assert found.overlap >= 0.999
        assert found.degrees < 0.5

    def test_gives_the_same_ground_truth_with_eevee(self, host: BlenderHost, tmp_path: Path) -> None:
        small, model = spec(views=1, side=64), models.concave(tmp_path)
        (tmp_path / "eevee").mkdir()
        by_cycles = Dataset.read(drawn(host, model, small, tmp_path))
        by_eevee = Dataset.read(drawn(host, model, small, tmp_path / "eevee", engine="eevee"))
        for folder in ("depth", "depth_16bit", "normals", "masks"):
            for view in by_cycles.views:
                name = f"{folder}/{view:04d}.png"
                assert by_eevee.files[name] == by_cycles.files[name]
        for view in by_cycles.views:
            inside = proof.interior(by_cycles.mask(view))
            pictures = [dataset.picture("images", view)[inside].astype(float) for dataset in (by_cycles, by_eevee)]
            # EEVEE has no light from one wall of the model on another.
            assert np.abs(pictures[0] - pictures[1]).mean() < 25
            assert (by_eevee.picture("images", view)[~proof.dilated(by_cycles.mask(view), 2)] == 255).all()


@pytest.mark.parametrize(("name", "coverage"), CASES)
class TestConsistency:
    def test_agrees_between_views(self, dataset_of: DatasetOf, name: str, coverage: Coverage) -> None:
        assert proof.across_views(dataset_of(name, coverage)) >= 0.999

    def test_has_a_tight_depth_range(self, dataset_of: DatasetOf, name: str, coverage: Coverage) -> None:
        dataset = dataset_of(name, coverage)
        levels = [dataset.picture("depth_16bit", view)[dataset.mask(view)] for view in dataset.views]
        assert (np.concatenate(levels).min(), np.concatenate(levels).max()) == (0, 65535)

    def test_has_a_white_far_and_grey_background(self, dataset_of: DatasetOf, name: str, coverage: Coverage) -> None:
        dataset = dataset_of(name, coverage)
        for view in dataset.views:
            mask = dataset.mask(view)
            assert (dataset.picture("depth_16bit", view)[~mask] == 65535).all()
            assert (dataset.picture("depth", view)[~mask] == 255).all()
            assert (dataset.picture("normals", view)[~mask] == 128).all()
            outside = ~proof.dilated(mask, 2)  # the picture's edges are anti-aliased, the mask's are not
            assert (dataset.picture("images", view)[outside] == 255).all()

    def test_agrees_between_both_depths(self, dataset_of: DatasetOf, name: str, coverage: Coverage) -> None:
        dataset = dataset_of(name, coverage)
        for view in dataset.views:
            coarse, fine = dataset.picture("depth", view) / 255, dataset.picture("depth_16bit", view) / 65535
            assert np.abs(coarse - fine).max() <= 0.5 / 255 + 1 / 65535

    def test_shows_the_whole_model_with_a_margin_in_every_view(
        self, dataset_of: DatasetOf, name: str, coverage: Coverage
    ) -> None:
        dataset = dataset_of(name, coverage)
        for view in dataset.views:
            mask = dataset.mask(view)
            assert mask.any()
            assert not mask[[0, -1]].any()
            assert not mask[:, [0, -1]].any()


class RayDistances(Dataset):
    """A dataset with the mistake of storing distances along the ray instead of planar depth."""

    def depth(self, view: int) -> Array:
        _, directions = self.rays(view)
        return np.asarray(super().depth(view) * np.linalg.norm(directions, axis=-1))


def changed(dataset: Dataset, change: Callable[[Dataset], None]) -> Dataset:
    wrong = copy.deepcopy(dataset)
    change(wrong)
    return wrong


def turn_poses(turn: Callable[[Array], Array]) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for frame in dataset.transforms["frames"]:
            frame["transform_matrix"] = turn(np.array(frame["transform_matrix"])).tolist()

    return change


def shift(key: str, pixels: float) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        dataset.transforms[key] += pixels

    return change


class TestMeasures:
    """The measures detect common mistakes in the conventions."""

    @pytest.mark.parametrize(
        "change",
        [
            turn_poses(lambda pose: pose[[0, 2, 1, 3]]),  # y and z of the world swapped
            turn_poses(lambda pose: pose * [1, -1, -1, 1]),  # OpenCV's camera axes
            shift("cx", 0.5),
            shift("cx", -0.5),
            shift("cy", 0.5),
            shift("cy", -0.5),
        ],
    )
    def test_detect_wrong_cameras(
        self, dataset_of: DatasetOf, change: Callable[[Dataset], None], tmp_path: Path
    ) -> None:
        wrong = changed(dataset_of("concave", "sphere"), change)
        found = proof.against_mesh(wrong, source("concave", tmp_path))
        assert found.near_enough < 0.9
        assert found.overlap < 0.999

    @pytest.mark.parametrize("change", [shift("cx", 0.5), shift("cy", -0.5)])
    def test_detect_half_a_pixel_without_a_mesh(self, dataset_of: DatasetOf, change: Callable[[Dataset], None]) -> None:
        assert proof.across_views(changed(dataset_of("concave", "sphere"), change)) < 0.9

    def test_detect_distances_along_the_ray(self, dataset_of: DatasetOf, tmp_path: Path) -> None:
        right = dataset_of("concave", "sphere")
        wrong = RayDistances(right.transforms, right.metadata, right.files)
        assert proof.against_mesh(wrong, source("concave", tmp_path)).near_enough < 0.9
        assert proof.across_views(wrong) < 0.9
        assert proof.fused(wrong, source("concave", tmp_path)) > 1e-3
