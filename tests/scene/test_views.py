"""Camera directions: evenly spread, never at a pole, and each close to the previous one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.scene import views
from farm.scene.views import ELEVATIONS, MARGIN, Direction, directions, focal
from farm.tiers import DATASET_TIERS, Coverage
from tests.dataset.dataset import Array

COVERAGES: list[Coverage] = ["hemisphere", "sphere"]
counts, coverages = st.integers(1, 500), st.sampled_from(COVERAGES)
ANYWHERE = st.builds(Direction, st.floats(0, 360), st.floats(-89, 89))
SIDES = st.integers(1, 1024).map(lambda half: 2 * half)


def positions(count: int, coverage: Coverage) -> Array:
    """The cameras' positions on the unit sphere, shape (count, 3)."""
    poses = [views.pose(direction, 64) for direction in directions(count, coverage)]
    found = np.array([pose[:3, 3] for pose in poses])
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def spacing(count: int, coverage: Coverage) -> float:
    """The side of the square of the sphere's area per camera, in radians."""
    return math.sqrt((2 if coverage == "hemisphere" else 4) * math.pi / count)


class TestLattice:
    @given(count=counts, coverage=coverages)
    def test_has_the_requested_count_and_coverage(self, count: int, coverage: Coverage) -> None:
        elevations = [direction.elevation for direction in directions(count, coverage)]
        assert len(elevations) == count
        assert all(abs(elevation) < 90 for elevation in elevations)
        if coverage == "hemisphere":
            assert min(elevations) > 0
        else:
            assert np.mean(np.sin(np.radians(elevations))) == pytest.approx(0, abs=1e-9)

    @given(count=st.integers(20, 500), coverage=coverages)
    def test_keeps_views_apart_and_leaves_no_gap(self, count: int, coverage: Coverage) -> None:
        at = positions(count, coverage)
        angles = np.arccos(np.clip(at @ at.T, -1, 1)) + 10 * np.eye(count)
        assert angles.min() > 0.5 * spacing(count, coverage)
        somewhere = np.random.default_rng(0).normal(size=(500, 3))
        if coverage == "hemisphere":
            somewhere[:, 2] = np.abs(somewhere[:, 2])
        somewhere /= np.linalg.norm(somewhere, axis=1, keepdims=True)
        farthest = np.arccos(np.clip(somewhere @ at.T, -1, 1)).min(axis=1).max()
        assert farthest < 1.2 * spacing(count, coverage)


class TestElevations:
    @given(count=counts, coverage=coverages, bounds=st.tuples(st.floats(-89, 88), st.floats(0.5, 60)))
    def test_are_between_the_bounds_and_evenly_high(
        self, count: int, coverage: Coverage, bounds: tuple[float, float]
    ) -> None:
        lowest, highest = bounds[0], min(sum(bounds), 90)
        heights = [math.sin(math.radians(each.elevation)) for each in directions(count, coverage, (lowest, highest))]
        low, high = math.sin(math.radians(lowest)), math.sin(math.radians(highest))
        steps = np.diff([low, *sorted(heights), high]) / (high - low) * count
        assert steps == pytest.approx([0.5, *[1] * (count - 1), 0.5], abs=1e-5)

    @given(count=counts, coverage=coverages)
    def test_are_those_of_the_coverage_without_bounds(self, count: int, coverage: Coverage) -> None:
        assert directions(count, coverage, ELEVATIONS[coverage]) == directions(count, coverage)


class TestOrder:
    @pytest.mark.parametrize("coverage", COVERAGES)
    @pytest.mark.parametrize("tier", DATASET_TIERS)
    def test_is_a_smooth_spiral(self, tier: str, coverage: Coverage) -> None:
        count = next(found.views for name, found in DATASET_TIERS.items() if name == tier)
        at = positions(count, coverage)
        steps = np.arccos(np.clip((at[1:] * at[:-1]).sum(axis=1), -1, 1)) / spacing(count, coverage)
        assert steps.max() < 2
        assert steps.mean() < 1.2

    @pytest.mark.parametrize("tier", DATASET_TIERS)
    def test_rises_over_a_hemisphere_and_descends_over_a_sphere(self, tier: str) -> None:
        count = next(found.views for name, found in DATASET_TIERS.items() if name == tier)
        first, *_, last = directions(count, "hemisphere")
        assert first.azimuth == 0
        assert (first.elevation < 1, last.elevation > 70) == (True, True)
        top, *_, bottom = directions(count, "sphere")
        assert (top.elevation > 70, bottom.elevation < -70) == (True, True)

    @given(count=counts, coverage=coverages)
    def test_is_reproducible(self, count: int, coverage: Coverage) -> None:
        assert directions(count, coverage) == directions(count, coverage)


class TestPose:
    @given(direction=ANYWHERE, side=SIDES)
    def test_looks_at_the_origin_upright(self, direction: Direction, side: int) -> None:
        pose = views.pose(direction, side)
        right, up, back, position = pose[:3].T
        assert pose[:3, :3].T @ pose[:3, :3] == pytest.approx(np.eye(3), abs=1e-12)
        assert np.cross(right, up) == pytest.approx(back, abs=1e-12)
        assert position / np.linalg.norm(position) == pytest.approx(back, abs=1e-12)
        assert right[2] == pytest.approx(0, abs=1e-12)
        assert up[2] > 0
        assert pose[3].tolist() == [0, 0, 0, 1]

    @given(direction=ANYWHERE, side=SIDES)
    def test_fits_the_bounding_sphere(self, direction: Direction, side: int) -> None:
        distance = np.linalg.norm(views.pose(direction, side)[:3, 3])
        half_view = math.atan(side / 2 / focal(side))
        assert math.asin(MARGIN / distance) == pytest.approx(half_view)

    @given(direction=ANYWHERE, side=SIDES, distance=st.floats(1.5, 20))
    def test_stands_at_the_distance(self, direction: Direction, side: int, distance: float) -> None:
        near, fitted = views.pose(direction, side, distance), views.pose(direction, side)
        assert np.linalg.norm(near[:3, 3]) == pytest.approx(distance)
        assert (near[:3, :3] == fitted[:3, :3]).all()

    @given(direction=ANYWHERE, digits=st.integers(5, 9))
    def test_becomes_rigid_again_after_rounding(self, direction: Direction, digits: int) -> None:
        pose = views.pose(direction, 64)
        mended = views.rigid(np.round(pose, digits).tolist())
        assert mended[:3, :3].T @ mended[:3, :3] == pytest.approx(np.eye(3), abs=1e-12)
        assert mended == pytest.approx(pose, abs=10.0**-digits * 2)
