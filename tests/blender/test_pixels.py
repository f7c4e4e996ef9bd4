"""Pictures on a full disk, which neither numpy's tofile nor Blender reports, and the colours of edges."""

import contextlib
import resource
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from farm.blender import pixels
from farm.errors import is_disk_full

WIDTH, HEIGHT = 22, 51  # 4488 bytes: a few more than a block of a file
BLOCK_BYTES = 4096


@contextlib.contextmanager
def files_limited(size: int) -> Iterator[None]:
    """While the block runs, no file may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestWrite:
    def test_reports_a_layer_that_does_not_fit(self, tmp_path: Path) -> None:
        layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        with files_limited(BLOCK_BYTES), pytest.raises(OSError, match="too large") as failure:
            pixels.write(layer, tmp_path / "frame.rgba", 0, 0)
        assert is_disk_full(failure.value)


class TestReadTga:
    def test_reads_rgba_from_the_top_row_down(self, tmp_path: Path) -> None:
        path = tmp_path / "drawing.tga"
        path.write_bytes(tga(width=1, height=2) + bytes([3, 2, 1, 4, 7, 6, 5, 8]))
        assert pixels.read(path).tolist() == [[[5, 6, 7, 8]], [[1, 2, 3, 4]]]

    @pytest.mark.parametrize("size", [0, 15, 18, 18 + BLOCK_BYTES])
    def test_reports_a_truncated_picture_as_a_full_disk(self, tmp_path: Path, size: int) -> None:
        path = tmp_path / "drawing.tga"
        path.write_bytes((tga(WIDTH, HEIGHT) + bytes(WIDTH * HEIGHT * 4))[:size])
        with pytest.raises(OSError, match="no room") as failure:
            pixels.read(path)
        assert is_disk_full(failure.value)


class TestSettleEdges:
    """A row of empty, partly covered and fully covered pixels; the covered one is red, the edge's own colour blue."""

    def row(self, alpha: int, painted: int) -> list[int]:
        picture = np.array([[[0, 0, 0, 0], [0, 0, 200, alpha], [200, 0, 0, 255]]], np.uint8)
        pixels.settle_edges(picture, np.array([[0, painted, 255]], np.float32))
        settled: list[int] = picture[0, 1].tolist()
        return settled

    def test_keeps_the_own_colour_as_far_as_a_pixel_is_covered(self) -> None:
        assert self.row(alpha=204, painted=204) == [40, 0, 160, 204]
        assert self.row(alpha=51, painted=51) == [160, 0, 40, 51]

    def test_gives_a_pixel_without_colour_that_of_its_neighbours(self) -> None:
        assert self.row(alpha=204, painted=0) == [200, 0, 0, 204]


def tga(width: int, height: int) -> bytes:
    """The header of an uncompressed 32-bit TGA."""
    return struct.pack("<3B9x2H2B", 0, 0, 2, width, height, 32, 8)
