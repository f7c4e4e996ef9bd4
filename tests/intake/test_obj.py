"""What is read from an OBJ before Blender reads it."""

import io

import numpy as np
import pytest

from farm.intake import obj

TRIANGLE = b"v 0 0 0\nv 1 0 0\nv 0 1 0\n"


class TestSummarize:
    @pytest.mark.parametrize(
        "lines",
        [
            b"f 1 2 %d\n",
            b"f 1/1 2/2 %d/3\n",
            b"f 1/1 2/2 3/%d\n",
            b"f 1/1/1 2/2/2 %d/3/3\n",
            b"f 1/1/1 2/2/2 3/%d/3\n",
            b"f 1/1/1 2/2/2 3/3/%d\n",
            b"f 1//1 2//2 %d//3\n",
            b"f 1//1 2//2 3//%d\n",
            b"f 1 2/2/2 %d\n",
            b"f 1 2//%d 3\n",
            b"f 1/1 2/ 3/%d\n",
            b"f 1/1/1 2/2 3\nf 1 2/%d 3/3/3\n",
        ],
    )
    def test_checks_every_index_of_every_form(self, lines: bytes) -> None:
        three = TRIANGLE + b"vt 0 0\n" * 3 + b"vn 0 0 1\n" * 3
        for valid in (1, 3, -1, -3):
            obj.summarize(three + lines % valid)
        for invalid in (4, -4, 10**30):
            with pytest.raises(obj.BadObj, match="damaged"):
                obj.summarize(three + lines % invalid)

    def test_finds_vertices_of_any_width(self) -> None:
        summary = obj.summarize(TRIANGLE + b"v 0 0 7 1\nv 5 0 0 1 1 1\nv -2 0 0 1 1 1 1\n v\t0 1e1 0 # x\nf 1 2 3\n")
        assert (summary.low.tolist(), summary.high.tolist()) == ([-2, 0, 0], [5, 10, 7])

    @pytest.mark.parametrize("line", [b"v 1 2", b"v 1 2 x", b"v 1,5 2 3", b"v 1 2 1e39", b"v inf 0 0", b"v 1 2 3 x"])
    def test_refuses_what_is_no_vertex(self, line: bytes) -> None:
        with pytest.raises(obj.BadObj, match="no vertex"):
            obj.summarize(TRIANGLE + line + b"\nf 1 2 3\n")

    def test_used_are_the_materials_of_faces_only(self) -> None:
        faces = b"f 1 2 3\nusemtl  A  b\nusemtl C\n\tusemtl\tD\nf 1 2 3\nusemtl A b \nf 1 2 3\nusemtl E\n"
        assert obj.summarize(TRIANGLE + faces).used == [None, b"D", b"A b"]


class TestOrigin:
    @pytest.mark.parametrize(("distance", "is_moved"), [(0, False), (60, False), (70, True), (-70, True)])
    def test_is_moved_only_far_from_the_coordinates_zero(self, distance: int, is_moved: bool) -> None:
        rows = b"".join(b"v %d %d 0\n" % (x + distance, y) for x, y in ((0, 0), (1, 0), (0, 1)))
        summary = obj.summarize(rows + b"f 1 2 3\n")
        assert (summary.origin is not None) == is_moved


class TestWriteSurface:
    def test_copies_vertices_and_faces_only(self) -> None:
        content = b"mtllib /etc/passwd\no a\n" + TRIANGLE + b"g b\nusemtl \xff\nl 1 2\ncall x.obj\nf 1 2 3\n"
        target = io.BytesIO()
        obj.write_surface(content, obj.summarize(content), {b"\xff": b"m0"}, False, target)
        assert target.getvalue() == TRIANGLE + b"usemtl m0\nf 1 2 3\n"

    def test_subtracts_the_origin_in_double_precision(self) -> None:
        content = b"v 4500000.0001 0 0\nv 4500000.0003 0 0\nv 4500000.0003 0.0002 0\nf 1 2 3\n"
        target = io.BytesIO()
        obj.write_surface(content, obj.summarize(content), {None: b"m0"}, False, target)
        written = np.array([line.split()[1:] for line in target.getvalue().splitlines()[:3]], float)
        assert np.ptp(written, axis=0) == pytest.approx([0.0002, 0.0002, 0], rel=1e-4)
