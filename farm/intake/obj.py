"""Reads an OBJ's statements, and writes the ones that make surfaces for Blender, with exact coordinates.

Blender's importer is the parser of faces. What it lacks is done here: it ignores a face with a wrong index, reads wrong
numbers as 0, and holds coordinates as 32-bit floats, which lose the shape of a survey's (500000, 4500000).
"""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from farm.intake.wavefront import material_name

# A centre further from the origin than this many times the size is subtracted: floats would lose 6 of their 24 bits.
MAX_DISTANCE = 64
Array = npt.NDArray[np.float64]

_RUN = re.compile(  # of at most so many lines with the same keyword, to limit the memory
    rb"(?P<vertices>(?:[ \t]*+v[ \t][^\n]*+\n){1,20000}+)"
    rb"|(?P<faces>(?:[ \t]*+f[ \t][^\n]*+\n){1,20000}+)"
    rb"|(?P<copied>(?:[ \t]*+(?:v[tn]|s)[ \t][^\n]*+\n){1,20000}+)"
    rb"|(?P<other>[^\n]*+\n)"
)
_CORNER = re.compile(rb"[ \t](-?\d+)")
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
    vertices = last_used = 0
    for kind, lines in _runs(obj):
        if kind == "vertices":
            rows = _rows(lines)
            if not vertices:
                summary.has_colors = rows[0].shape[1] >= 6
            for row in rows:
                vertices += len(row)
                summary.low = np.minimum(summary.low, row[:, :3].min(axis=0))
                summary.high = np.maximum(summary.high, row[:, :3].max(axis=0))
                summary.max_color = max(summary.max_color, float(row[:, 3:6].max(initial=0)))
        elif kind == "faces":
            used[material] = None
            indices = [int(index) for index in _CORNER.findall(lines)]
            last_used = max(last_used, max(indices, default=0))
            if 0 in indices or -min(indices, default=0) > vertices:
                raise BadObj("is damaged, a face has a vertex that does not exist: export the scan again")
        elif kind == "other":
            keyword, _, rest = lines.strip().replace(b"\t", b" ").partition(b" ")
            if keyword == b"usemtl":
                material = material_name(rest)
            elif keyword == b"mtllib":
                summary.libraries.append(rest.strip())
    if not used:
        raise BadObj("has no faces: export the scan as a mesh, not as points")
    if not vertices:
        raise BadObj("has no vertices: export the scan again")
    if last_used > vertices:
        raise BadObj(f"is damaged, a face has vertex {last_used} of {vertices}: export the scan again")
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
        else:
            target.write(lines)


def _runs(obj: bytes) -> Iterator[tuple[str, bytes]]:
    for run in _RUN.finditer(obj):
        kind, lines = run.lastgroup, run[0]
        assert kind
        yield kind, _COMMENT.sub(b"", lines) if b"#" in lines and kind != "other" else lines


def _rows(lines: bytes) -> list[Array]:
    """The numbers of `v` lines, one row each, as few arrays as their widths allow. Raises BadObj."""
    count = lines.count(b"\n")
    numbers = _numbers(lines.replace(b"v", b" "))
    if numbers is not None and len(numbers) % count == 0 and len(numbers) // count in (3, 4, 6, 7):
        return [numbers.reshape(count, -1)]
    if count == 1 and numbers is not None and len(numbers) >= 3:
        return [numbers[None]]
    if count == 1:
        raise BadObj(f"is damaged, {lines.strip()[:80]!r} is no vertex: export the scan again")
    return [row for line in lines.splitlines(keepends=True) for row in _rows(line)]


def _numbers(text: bytes) -> Array | None:
    """The numbers; None if something is not a number, or not a finite 32-bit float."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            numbers = np.fromstring(text, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return numbers if np.all(np.abs(numbers) < np.finfo(np.float32).max) else None
