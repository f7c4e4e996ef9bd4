"""Framing: the subject fills the frame over its whole path, centred, and is never cropped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_paths import PATHS, Pose
from farm.scene import framing
from farm.scene.camera import Array, Lens, view
from farm.scene.shot import FULL_TURN

MARGIN = 1.19
TURN = [Pose(*pose) for pose in FULL_TURN]
ASPECTS = [(960, 540), (540, 540), (540, 960)]
SIZES = st.tuples(*[st.floats(0.02, 1.0)] * 3)


def box(size: tuple[float, float, float]) -> tuple[Array, float]:
    """The corners of a box on the ground with a bounding sphere of radius 1, and the height of the sphere's centre."""
    half = np.array(size) / np.linalg.norm(size)
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (0, 2)]) * half
    return corners, float(half[2])


def fitted(points: Array, height: float, frame: tuple[int, int], path: list[Pose], *, shadow: bool = False) -> Lens:
    lens = Lens.around_sphere(85, 12, MARGIN, height, *frame)
    return framing.fit(lens, points, path, margin=MARGIN, shadow=shadow)


def extent(lens: Lens, points: Array, path: list[Pose]) -> tuple[Array, Array]:
    """The top left and bottom right corners of the box that the points cover over a path, in shares of the frame."""
    frame = np.array([lens.width, lens.height])
    pixels = np.concatenate([view(lens, pose.azimuth, pose.radius).pixels(points * pose.scale) for pose in path])
    return pixels.min(axis=0) / frame, pixels.max(axis=0) / frame


class TestFit:
    @settings(deadline=None, max_examples=40)
    @given(SIZES, st.sampled_from(ASPECTS))
    def test_fills_the_limiting_side_at_any_shape(
        self, size: tuple[float, float, float], frame: tuple[int, int]
    ) -> None:
        points, height = box(size)
        low, high = extent(fitted(points, height, frame, TURN), points, TURN)
        assert (high - low).max() == pytest.approx(1 / MARGIN, abs=0.005)

    @settings(deadline=None, max_examples=40)
    @given(SIZES, st.sampled_from(ASPECTS))
    def test_centres_the_subject(self, size: tuple[float, float, float], frame: tuple[int, int]) -> None:
        points, height = box(size)
        low, high = extent(fitted(points, height, frame, TURN), points, TURN)
        assert (low + high) / 2 == pytest.approx([0.5, 0.5], abs=0.005)

    @settings(deadline=None, max_examples=40)
    @given(SIZES, st.sampled_from(ASPECTS))
    def test_keeps_the_contact_shadow_in_the_frame(
        self, size: tuple[float, float, float], frame: tuple[int, int]
    ) -> None:
        points, height = box(size)
        lens = fitted(points, height, frame, TURN, shadow=True)
        shadow = points[points[:, 2] == 0] * [1 + framing.CONTACT_REACH, 1 + framing.CONTACT_REACH, 0]
        low, high = extent(lens, shadow, TURN)
        assert low.min() >= -0.005
        assert high.max() <= 1.005

    @pytest.mark.parametrize("name", PATHS)
    def test_crops_no_frame_of_a_path(self, name: str) -> None:
        points, height = box((1.0, 0.4, 0.7))
        path = PATHS[name].poses(90)
        low, high = extent(fitted(points, height, (960, 540), path), points, path)
        assert (high - low).max() == pytest.approx(1 / MARGIN, abs=0.03)
        assert low.min() > 0
        assert high.max() < 1

    @settings(deadline=None, max_examples=60)
    @given(SIZES, st.sampled_from(ASPECTS), st.floats(0.1, 3), st.floats(0.1, 3), st.floats(20, 135))
    def test_crops_no_frame_of_any_zoom(
        self, size: tuple[float, float, float], frame: tuple[int, int], start: float, end: float, focal: float
    ) -> None:
        points, height = box(size)
        path = [PATHS["zoom-orbit"].pose(step / 60, zoom_start=start, zoom_end=end) for step in range(61)]
        lens = framing.fit(
            Lens.around_sphere(focal, 12, MARGIN, height, *frame), points, path, margin=MARGIN, shadow=False
        )
        low, high = extent(lens, points, path)
        assert low.min() > 0
        assert high.max() < 1

    def test_keeps_the_factors_of_a_zoom(self) -> None:
        points, height = box((1.0, 1.0, 1.0))
        far, near = [Pose(0.0, radius) for radius in (1.0, 0.7)]
        lens = fitted(points, height, (540, 540), [far, near])
        sizes = [np.ptp(view(lens, 0.0, pose.radius).pixels(points), axis=0).max() for pose in (far, near)]
        assert sizes[1] == pytest.approx(540 / MARGIN, rel=0.01)
        assert sizes[0] < 0.75 * sizes[1]


class TestHull:
    @settings(deadline=None, max_examples=30)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 5000))
    def test_loses_at_most_a_hundredth_in_any_direction(self, seed: int, count: int) -> None:
        random = np.random.default_rng(seed)
        points, direction = random.normal(size=(count, 3)), random.normal(size=3)
        reach, kept = (cloud @ direction for cloud in (points, framing.hull(points)))
        assert kept.max() >= reach.max() - 0.01 * np.ptp(points, axis=0).max() * np.linalg.norm(direction)

    def test_is_the_same_for_any_block_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        points = np.random.default_rng(1).normal(size=(1000, 3))
        whole = framing.hull(points)
        monkeypatch.setattr(framing, "POINTS_PER_BLOCK", 7)
        assert np.array_equal(framing.hull(points), whole)
