"""The surface of a converted scan is the one that its OBJ describes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.intake.scans import Converted, converted, converted_inside, zipped
from tests.support.blender import InsideBlender

pytestmark = pytest.mark.slow

Mesh = Callable[[bytes], Converted]
SQUARE = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


@pytest.fixture
def mesh(inside: InsideBlender, tmp_path: Path) -> Mesh:
    """Converts an OBJ."""
    return lambda obj: converted_inside(inside, zipped({"a.obj": obj}), tmp_path)


@pytest.mark.parametrize(
    ("obj", "area"),
    [
        (b"v 0 0 0\nv 3 0 0\nv 3 3 0\nv 2 3 0\nv 2 1 0\nv 1 1 0\nv 1 3 0\nv 0 3 0\nf 1 2 3 4 5 6 7 8\n", 7),
        (SQUARE + b"f 1 2 3 4\n" + SQUARE.replace(b" 0\n", b" 5\n") + b"f -4 -3 -2 -1\n", 2),
        (SQUARE + b"f -4 -3 -2\nf -4 -2 -1\n", 1),
        (SQUARE.replace(b"v ", b"\tv\t") + b"  f 1 2 3\n\tf\t1\t3\t4\n", 1),
        (SQUARE + b"f 1 2 \\\n 3 4\n", 1),
        (SQUARE.replace(b"\n", b" # corner\n") + b"f 1 2 3 4 # all\n", 1),
        (SQUARE.replace(b"\n", b" 1.0\n") + b"f 1 2 3 4", 1),
        (SQUARE + b"f 1 2 3 4\nl 1 2 3\np 1 2\n", 1),
        (SQUARE + b"f 1 2 3 4\ncstype bspline\ndeg 2\ncurv 0 1 1 2 3\nparm u 0 1\nend\n", 1),
        (SQUARE + b"o \xff\xfe\ng \xff\nf 1 2 3 4\no other\nf 4 3 2 1\n", 1),
        ((SQUARE + b"f 1 2 3 4\n").replace(b"\n", b"\r\n"), 1),
        ((SQUARE + b"f 1 2 3 4\n").replace(b"\n", b"\r"), 1),
        (b"\xef\xbb\xbf" + SQUARE + b"f 1 2 3 4\n", 1),
        ((SQUARE + b"f 1 2 3 4\n").decode().encode("utf-16"), 1),
        ((SQUARE + b"f 1 2 3 4\n").decode().encode("utf-16-be"), 1),
    ],
    ids=[
        "concave",
        "negative, several blocks",
        "negative",
        "indented",
        "continued",
        "comments",
        "w",
        "lines and points",
        "curve",
        "names",
        "CRLF",
        "CR",
        "BOM",
        "UTF-16",
        "UTF-16 BE",
    ],
)
def test_has_the_area_of_its_faces(mesh: Mesh, obj: bytes, area: float) -> None:
    found = mesh(obj)
    assert found.area == pytest.approx(area)
    assert {primitive.get("mode", 4) for primitive in found.document["meshes"][0]["primitives"]} == {4}


def test_keeps_coordinates_as_they_are(mesh: Mesh) -> None:
    found = mesh(b"v 1 2 3\nv 4 5 6\nv 7 8 -9\nf 1 2 3\n")
    assert found.attribute("POSITION").tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, -9]]
    (node,) = found.document["nodes"]
    assert node == {"mesh": 0, "name": "a"}


def test_keeps_the_shape_of_survey_coordinates(mesh: Mesh) -> None:
    rows = np.array([[0, 0, 0], [0.8, 0, 0.1], [0.8, 0.6, 0], [0, 0.6, 0.05]])
    surveyed = rows + np.array([500123.437, 4649776.213, 212.668])
    obj = b"".join(b"v %.6f %.6f %.6f\n" % tuple(row) for row in surveyed)
    positions = mesh(obj + b"f 1 2 3 4\n").attribute("POSITION")
    assert np.abs(positions - positions[0] - rows).max() < 1e-6
    assert np.abs(positions).max() < 1


def test_keeps_vertex_colours_of_survey_coordinates(mesh: Mesh) -> None:
    obj = b"v 500000 4500000 0 1 0 0\nv 500001 4500000 0 1 0 0\nv 500000 4500001 0 1 0 0\nf 1 2 3\n"
    found = mesh(obj)
    assert np.ptp(found.attribute("POSITION"), axis=0).tolist() == [1, 1, 0]
    assert found.attribute("COLOR_0")[:, :3].tolist() == [[1, 0, 0]] * 3


def test_texture_coordinates_that_are_no_numbers_become_0(mesh: Mesh) -> None:
    obj = SQUARE + b"vt nan -nan\nvt 1 0.5\nvt Inf 1\nvt -nan(ind) 1\nf 1/1 2/2 3/3 4/4\n"
    assert mesh(obj).attribute("TEXCOORD_0").tolist() == [[0, 1], [1, 0.5], [0, 0], [0, 0]]


def test_indices_of_missing_texture_coordinates_are_ignored(mesh: Mesh) -> None:
    assert mesh(SQUARE + b"f 1/1/1 2/2/1 3/3/1\nf -4/-4/-1 -2/-2/-1 -1/-1/-1\n").area == 1


class TestNormals:
    def test_gives_a_flat_mesh_none(self, mesh: Mesh) -> None:
        found = mesh(SQUARE + b"f 1 2 3 4\n")
        assert set(found.document["meshes"][0]["primitives"][0]["attributes"]) == {"POSITION"}

    def test_keeps_those_of_the_file(self, mesh: Mesh) -> None:
        found = mesh(SQUARE + b"vn 0.6 0 0.8\nf 1//1 2//1 3//1 4//1\n")
        assert found.attribute("NORMAL") == pytest.approx(np.tile([0.6, 0, 0.8], (4, 1)), abs=0.001)

    def test_smoothing_groups_are_smooth(self, mesh: Mesh) -> None:
        ridge = b"v 0 0 0\nv 0 0 1\nv 1 1 0\nv 1 1 1\nv 2 0 0\nv 2 0 1\ns 1\nf 1 2 4 3\nf 3 4 6 5\n"
        found = mesh(ridge)
        at_top = found.attribute("NORMAL")[found.attribute("POSITION")[:, 1] == 1]
        assert at_top == pytest.approx(np.tile([0, 1, 0], (len(at_top), 1)), abs=0.001)


def test_keeps_the_name_of_the_file(tmp_path: Path) -> None:
    found = converted(zipped({"Größe.obj": SQUARE + b"f 1 2 3 4\n"}), tmp_path)
    assert found.document["meshes"][0]["name"] == "Größe"
