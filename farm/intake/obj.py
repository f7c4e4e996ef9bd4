"""Reads an OBJ's statements, and writes the ones that make surfaces for Blender, with exact coordinates.

Blender's importer is the parser of faces. What it lacks is done here: it ignores a face with a wrong index, reads wrong
numbers as 0, and holds coordinates as 32-bit floats, which lose the shape of a survey's (500000, 4500000).
"""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from farm.intake.json_paths import quoted_bytes
from farm.intake.wavefront import material_name

# A centre further from the origin than this many times the size is subtracted: floats would lose 6 of their 24 bits.
MAX_DISTANCE = 64
Array = npt.NDArray[np.float64]
Number = TypeVar("Number", np.float64, np.int64)

_RUN = re.compile(  # of at most so many lines with the same keyword, to limit the memory
    rb"(?P<vertices>(?:[ \t]*+v[ \t][^\n]*+\n){1,20000}+)"
    rb"|(?P<faces>(?:[ \t]*+f[ \t][^\n]*+\n){1,20000}+)"
    rb"|(?P<copied>(?:[ \t]*+(?:v[tn]|s)[ \t][^\n]*+\n){1,20000}+)"
    rb"|(?P<other>[^\n]*+\n)"
)
_CORNER = re.compile(rb"[ \t](-?\d++)(?:/(-?\d*+))?(?:/(-?\d*+))?")  # vertex, vt, vn
_TEXTURE_COORDINATES, _NORMALS = (re.compile(rb"^[ \t]*" + kind, re.MULTILINE) for kind in (b"vt", b"vn"))
_THREE_INDICES = re.compile(rb"/-?\d++/")
_NOT_A_NUMBER = re.compile(rb"[^\s]*(?:nan|inf)[^\s]*", re.IGNORECASE)
_COMMENT = re.compile(rb"#[^\n]*")


class BadObj(Exception):
    """The OBJ cannot be converted; the message follows the file's name."""


@dataclass
class Summary:
    """Facts about a whole OBJ.

    `used` are the materials of its faces, None for faces before the first `usemtl`; `libraries` the rests of its
    `mtllib` lines; `low` and `high` the corners of the bounding box.
    """

    used: list[bytes | None] = field(default_factory=list)
    libraries: list[bytes] = field(default_factory=list)
    has_colors: bool = False
    max_color: float = 0.0
    low: Array = field(default_factory=lambda: np.full(3, np.inf))
    high: Array = field(default_factory=lambda: np.full(3, -np.inf))

    @property
    def origin(self) -> Array | None:
        """The point to subtract from all vertices; None if their coordinates are precise enough as 32-bit floats."""
        centre, size = (self.low + self.high) / 2, float((self.high - self.low).max())
        return centre if np.abs(centre).max() > MAX_DISTANCE * size else None


def summarize(obj: bytes) -> Summary:
    """Read the OBJ, in `plain_text`. Raises BadObj: no faces or vertices, wrong numbers or indices."""
    summary = Summary()
    material: bytes | None = None
    used: dict[bytes | None, None] = {}
    counts, highest = [0, 0, 0], [0, 0, 0]  # of v, vt and vn
    for kind, lines in _runs(obj):
        if kind == "vertices":
            rows = _rows(lines)
            if not counts[0]:
                summary.has_colors = rows[0].shape[1] >= 6
            for row in rows:
                counts[0] += len(row)
                summary.low = np.minimum(summary.low, row[:, :3].min(axis=0))
                summary.high = np.maximum(summary.high, row[:, :3].max(axis=0))
                summary.max_color = max(summary.max_color, float(row[:, 3:6].max(initial=0)))
        elif kind == "faces":
            used[material] = None
            for number, indices in _indices(lines).items():
                highest[number] = max(highest[number], int(indices.max(initial=0)))
                must_exist = number == 0 or counts[number]  # Blender ignores the others
                if (must_exist and -indices.min(initial=0) > counts[number]) or (number == 0 and not indices.all()):
                    raise BadObj("is damaged, a face has an index that does not exist: export the scan again")
        elif kind == "copied":
            counts[1] += len(_TEXTURE_COORDINATES.findall(lines))
            counts[2] += len(_NORMALS.findall(lines))
        elif kind == "other":
            keyword, _, rest = lines.strip().replace(b"\t", b" ").partition(b" ")
            if keyword == b"usemtl":
                material = material_name(rest)
            elif keyword == b"mtllib":
                summary.libraries.append(rest.strip())
    if not used:
        raise BadObj("has no faces: export the scan as a mesh, not as points")
    if not counts[0]:
        raise BadObj("has no vertices: export the scan again")
    for count, last, kind in zip(counts, highest, ("vertex", "texture coordinate", "normal"), strict=True):
        if last > count > 0:
            raise BadObj(f"is damaged, a face has {kind} {last} of {count}: export the scan again")
    summary.used = list(used)
    return summary


def write_surface(
    obj: bytes, summary: Summary, materials: dict[bytes | None, bytes], colors: bool, target: BinaryIO
) -> None:
    """Write vertices and faces to `target`, with vertex colours if `colors`. `materials` has a name for each used."""
    origin = summary.origin
    divisor = 255.0 if summary.max_color > 1 else 1.0
    rewrite = origin is not None or (summary.has_colors and (not colors or divisor > 1))
    material: bytes | None = None
    written: bytes | None = None
    for kind, lines in _runs(obj):
        if kind == "other":
            keyword, _, rest = lines.strip().replace(b"\t", b" ").partition(b" ")
            material = material_name(rest) if keyword == b"usemtl" else material
            continue
        if kind == "faces" and materials[material] != written:
            written = materials[material]
            target.write(b"usemtl " + written + b"\n")
        if kind == "vertices" and rewrite:
            for row in _rows(lines):
                moved = row if origin is None else np.hstack([row[:, :3] - origin, row[:, 3:]])
                moved = np.hstack([moved[:, :3], moved[:, 3:6] / divisor]) if colors else moved[:, :3]
                line = b"v" + b" %.9g" * moved.shape[1] + b"\n"
                target.write(b"".join(line % tuple(values) for values in moved.tolist()))
        elif kind == "copied" and (b"nan" in (lower := lines.lower()) or b"inf" in lower):
            target.write(_NOT_A_NUMBER.sub(b"0", lines))
        else:
            target.write(lines)


def _runs(obj: bytes) -> Iterator[tuple[str, bytes]]:
    for run in _RUN.finditer(obj):
        kind, lines = run.lastgroup, run[0]
        assert kind
        yield kind, _COMMENT.sub(b"", lines) if b"#" in lines and kind != "other" else lines


def _indices(lines: bytes) -> dict[int, npt.NDArray[np.int64]]:
    """The indices in `f` lines of vertices (0), texture coordinates (1) and normals (2)."""
    slashes, double = lines.count(b"/"), lines.count(b"//")
    numbers = _numbers(lines.replace(b"f", b" ").replace(b"/", b" "), np.int64)
    if numbers is not None:
        # These equations hold only if all corners are written alike, which is many times faster than the pattern below.
        if slashes == 0:
            return {0: numbers}
        if 3 * slashes == 2 * len(numbers) and not double:
            return dict(enumerate(numbers.reshape(-1, 3).T))
        if 2 * slashes == len(numbers) and not double and not _THREE_INDICES.search(lines):
            return dict(enumerate(numbers.reshape(-1, 2).T))
        if slashes == 2 * double == len(numbers):
            return dict(zip((0, 2), numbers.reshape(-1, 2).T, strict=True))
    columns = zip(*_CORNER.findall(lines), strict=True)
    return {number: np.array([int(index) for index in column if index]) for number, column in enumerate(columns)}


def _rows(lines: bytes) -> list[Array]:
    """The numbers of `v` lines, one row each, as few arrays as their widths allow. Raises BadObj."""
    count = lines.count(b"\n")
    numbers = _numbers(lines.replace(b"v", b" "), np.float64)
    if numbers is not None and len(numbers) % count == 0 and len(numbers) // count in (3, 4, 6, 7):
        return [numbers.reshape(count, -1)]
    if count == 1 and numbers is not None and len(numbers) >= 3:
        return [numbers[None]]
    if count == 1:
        raise BadObj(f"is damaged, {quoted_bytes(lines.strip())} is no vertex: export the scan again")
    return [row for line in lines.splitlines(keepends=True) for row in _rows(line)]


def _numbers(text: bytes, kind: type[Number]) -> npt.NDArray[Number] | None:
    """The numbers; None if something is not a number of this kind, or not a finite 32-bit float."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            numbers = np.fromstring(text, kind, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return numbers if np.all(np.abs(numbers) < np.finfo(np.float32).max) else None
