"""GLB files written without Blender, with exactly known content, and the shots that the tests draw."""

import math
import struct
from pathlib import Path
from typing import Any

from farm import templates
from farm.scene.shot import Engine, ShotSetup
from tests.support.glb import binary_chunk, container, json_chunk

Point = tuple[float, float, float]


def shot(
    model: Path, *, engine: Engine = "cycles", size: tuple[int, int] = (96, 54), shadows: bool = False
) -> ShotSetup:
    return ShotSetup(str(model), str(templates.blend("studio")), *size, samples=4, engine=engine, shadows=shadows)


def glb(
    path: Path,
    points: list[Point],
    *,
    mode: int = 4,
    nodes: list[dict[str, Any]] | None = None,
    material: dict[str, Any] | None = None,
) -> Path:
    """A file whose one mesh draws `points` as triangles (mode 4), or as bare points (mode 0)."""
    data = b"".join(struct.pack("<3f", *point) for point in points)
    # JSON has no NaN and no infinity; the buffer may hold them.
    columns = [[value if math.isfinite(value) else 0.0 for value in column] for column in zip(*points, strict=True)]
    nodes = nodes or [{"mesh": 0}]
    primitive = {"attributes": {"POSITION": 0}, "mode": mode} | ({"material": 0} if material else {})
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "cameras": [{"type": "perspective", "perspective": {"yfov": 0.7, "znear": 0.01}}],
        "meshes": [{"primitives": [primitive]}],
        **({"materials": [material], "extensionsUsed": list(material.get("extensions", {}))} if material else {}),
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": len(points),
                "type": "VEC3",
                "min": [min(column) for column in columns],
                "max": [max(column) for column in columns],
            }
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(data)}],
        "buffers": [{"byteLength": len(data)}],
    }
    path.write_bytes(container(json_chunk(document), binary_chunk(data)))
    return path


def box(low: Point, high: Point) -> list[Point]:
    """The twelve triangles of a box, glTF axes: y up, z to the front."""
    corner = [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return [corner[face[index]] for face in faces for index in (0, 1, 2, 0, 2, 3)]
