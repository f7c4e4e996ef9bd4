"""Surface points: unprojecting, sampling, and the PLY file."""

import io

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from farm.dataset import cameras, points
from farm.dataset.depth import Mask, Range
from farm.scene import views
from farm.scene.views import Direction
from tests.dataset.dataset import Dataset

SIDE = 32


def flat_view() -> tuple[
    np.ndarray[tuple[int, ...], np.dtype[np.uint8]], np.ndarray[tuple[int, ...], np.dtype[np.float32]], Mask
]:
    """A disc two units away; each pixel's colour encodes its position."""
    rows, columns = np.indices((SIDE, SIDE))
    mask = np.hypot(rows - 16, columns - 16) < 10
    picture = np.stack([rows, columns, rows * 0], axis=-1).astype(np.uint8)
    return picture, np.full((SIDE, SIDE), 2.0, np.float32), mask


@given(
    where=st.builds(Direction, st.floats(0, 360), st.floats(-89, 89)),
    pixels=st.lists(st.tuples(st.integers(0, 63), st.integers(0, 63), st.floats(0.5, 10)), min_size=1, max_size=20),
)
def test_unprojects_pixels_to_points_that_project_back(where: Direction, pixels: list[tuple[int, int, float]]) -> None:
    columns, rows, depths = np.array(pixels, dtype=float).T
    pose = views.pose(where, 64)
    world = cameras.unproject(columns, rows, depths, 64, pose)
    reader = Dataset(cameras.transforms(["images/0000.png"], [pose], 64, Range(1, 2), {}), {}, {})
    back = reader.project(0, world)
    assert np.stack(back) == pytest.approx(np.stack([columns + 0.5, rows + 0.5, depths]), abs=1e-9)


def grid(*rows: str) -> Mask:
    """A mask drawn with # for its pixels."""
    return np.array([[character == "#" for character in row] for row in rows])


def test_finds_pixels_with_all_neighbours_in_the_mask() -> None:
    mask = grid("#######", "#####.#", "#######", "#######", "#######")
    inside = grid(".......", ".###...", ".###...", ".#####.", ".......")
    assert (points.interior(mask) == inside).all()


class TestSample:
    def test_returns_the_requested_count_with_their_colours(self) -> None:
        picture, depths, mask = flat_view()
        pose = views.pose(Direction(30, 20), SIDE)
        sampled = points.sample(picture, depths, mask, pose, count=50, seed=1)
        assert len(sampled) == 50
        reader = Dataset(cameras.transforms(["images/0000.png"], [pose], SIDE, Range(1, 2), {}), {}, {})
        columns, rows, found = reader.project(0, sampled["xyz"].astype(float))
        assert np.floor(rows).astype(int).tolist() == sampled["rgb"][:, 0].tolist()
        assert np.floor(columns).astype(int).tolist() == sampled["rgb"][:, 1].tolist()
        assert found == pytest.approx(2.0, abs=1e-5)

    def test_depends_on_the_seed_only(self) -> None:
        pose = views.pose(Direction(30, 20), SIDE)
        first, again, other = (points.sample(*flat_view(), pose, count=50, seed=seed) for seed in (1, 1, 2))
        assert first.tobytes() == again.tobytes() != other.tobytes()

    def test_returns_all_if_there_are_fewer(self) -> None:
        picture, depths, mask = flat_view()
        sampled = points.sample(picture, depths, mask, np.eye(4), count=10_000, seed=1)
        assert len(sampled) == points.interior(mask).sum()


def test_writes_a_ply_that_trimesh_reads() -> None:
    picture, depths, mask = flat_view()
    sampled = points.sample(picture, depths, mask, np.eye(4), count=40, seed=3)
    read = trimesh.load(io.BytesIO(points.ply(sampled)), file_type="ply")
    assert isinstance(read, trimesh.PointCloud)
    assert read.vertices.tolist() == sampled["xyz"].tolist()
    assert read.colors[:, :3].tolist() == sampled["rgb"].tolist()
