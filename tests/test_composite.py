"""Compositing: exact background, shadow where the ground says, subject over both."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from farm.blender.camera import Lens, view
from farm.shot import Frame, ShadowMap
from farm.video.composite import Compositor, lay_over

WIDTH, HEIGHT, CORAL = 96, 54, (255, 127, 80)
LENS = Lens(85, 12, 1.1, 0.8, WIDTH, HEIGHT)
byte = st.integers(0, 255)


@pytest.fixture
def frame(tmp_path: Path) -> Frame:
    """A frame whose subject is a 10 x 8 block at (40, 20): opaque blue, its last row half covered, its first empty."""
    pixels = np.zeros((8, 10, 4), dtype=np.uint8)
    pixels[1:] = 10, 20, 200, 255
    pixels[7, :, 3] = 128
    path = tmp_path / "frame.rgba"
    pixels.tofile(path)
    return Frame(0, str(path), 40, 20, 10, 8, tuple(view(LENS, 30, 1).ground_to_pixel.ravel()))


def shadow_map(folder: Path, opacity: NDArray[np.float32]) -> ShadowMap:
    path = folder / "shadow.npy"
    np.save(path, opacity)
    return ShadowMap(str(path), len(opacity), 2.0)


def test_the_background_is_exact_where_nothing_covers_it(frame: Frame) -> None:
    picture = Compositor(WIDTH, HEIGHT, CORAL, None).over(frame)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    outside = np.ones((HEIGHT, WIDTH), dtype=bool)
    outside[21:28, 40:50] = False
    assert (picture[outside] == CORAL).all()


def test_the_subject_covers_by_its_alpha(frame: Frame) -> None:
    picture = Compositor(WIDTH, HEIGHT, CORAL, None).over(frame)
    assert (picture[21:27, 40:50] == (10, 20, 200)).all()
    assert picture[27, 45] == pytest.approx([132, 73, 140], abs=1)


def test_frames_do_not_leave_traces_in_each_other(frame: Frame) -> None:
    compositor = Compositor(WIDTH, HEIGHT, CORAL, None)
    first = compositor.over(frame)
    first[:] = 0
    assert compositor.over(frame)[0, 0].tolist() == list(CORAL)


def test_the_shadow_lies_where_the_ground_is(frame: Frame, tmp_path: Path) -> None:
    opacity = np.zeros((64, 64), dtype=np.float32)
    opacity[40:44, 20:24] = 0.5  # about x = -0.625, y = -0.625 on the ground
    picture = Compositor(WIDTH, HEIGHT, (200, 200, 200), shadow_map(tmp_path, opacity)).over(frame)
    rows, columns = np.nonzero((picture[..., 0] < 130) & (picture[..., 2] < 130))
    expected = view(LENS, 30, 1).pixels(np.array([[-0.625, -0.625, 0.0]]))[0]
    assert [columns.mean() + 0.5, rows.mean() + 0.5] == pytest.approx(expected, abs=1.0)


def test_a_full_shadow_is_half_as_bright_at_half_opacity(frame: Frame, tmp_path: Path) -> None:
    opacity = np.full((64, 64), 0.5, dtype=np.float32)
    picture = Compositor(WIDTH, HEIGHT, (200, 100, 50), shadow_map(tmp_path, opacity)).over(frame)
    x, y = view(LENS, 30, 1).pixels(np.array([[0.0, -1.0, 0.0]]))[0].astype(int)
    assert picture[y, x].tolist() == [100, 50, 25]


def test_no_shadow_changes_nothing(frame: Frame, tmp_path: Path) -> None:
    empty = shadow_map(tmp_path, np.zeros((64, 64), dtype=np.float32))
    plain = Compositor(WIDTH, HEIGHT, CORAL, None).over(frame)
    assert (Compositor(WIDTH, HEIGHT, CORAL, empty).over(frame) == plain).all()


@given(byte, byte, byte)
def test_blending_rounds_to_nearest(above: int, below: int, alpha: int) -> None:
    picture = np.full((1, 1, 3), below, dtype=np.uint8)
    lay_over(picture, np.array([[[above, above, above, alpha]]], dtype=np.uint8))
    assert picture[0, 0, 0] == pytest.approx((above * alpha + below * (255 - alpha)) / 255, abs=0.51)
