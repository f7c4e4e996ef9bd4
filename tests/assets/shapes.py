"""Solid shapes for the sample models, built point by point so that every run gives the same mesh."""

import math
from collections.abc import Sequence

import bpy

Point = tuple[float, float, float]
Ring = list[Point]


def rounded_slab(
    name: str, size: Point, *, corner: float, fillet: float, corner_steps: int = 8, fillet_steps: int = 5
) -> bpy.types.Object:
    """A slab standing upright: a rounded rectangle in x and z, `size[1]` deep along y, all its edges softened.

    Texture coordinates are metres on the front, so a material decides how often its texture repeats.
    """
    width, depth, height = size
    insets = [fillet * (1 - math.sin(step * math.pi / 2 / fillet_steps)) for step in range(fillet_steps + 1)]
    depths = [fillet * (1 - math.cos(step * math.pi / 2 / fillet_steps)) for step in range(fillet_steps + 1)]
    # The extra innermost ring keeps the flat faces flat: without it smooth normals would bend across them.
    front = [(fillet * 1.25, 0.0), *zip(insets, depths, strict=True)]
    back = [(inset, depth - along) for inset, along in reversed(front)]
    rings = [
        [(x, along - depth / 2, z) for x, z in _rounded_rectangle(width, height, corner, inset, corner_steps)]
        for inset, along in [*front, *back]
    ]
    return _skin(name, rings, caps=True)


def lathe(name: str, profile: Sequence[tuple[float, float]], *, steps: int = 40) -> bpy.types.Object:
    """A turned part around z: `profile` lists (radius, height) from bottom to top; radius 0 closes an end."""
    rings = [
        [
            (radius * math.cos(turn * math.tau / steps), radius * math.sin(turn * math.tau / steps), height)
            for turn in range(steps)
        ]
        for radius, height in profile
    ]
    return _skin(name, rings, caps=False)


def tube(name: str, path: Sequence[tuple[float, float]], radius: float, *, steps: int = 16) -> bpy.types.Object:
    """A round bar along a path in the x-z plane, with open ends, to be hidden in other parts."""
    rings: list[Ring] = []
    for index, (x, z) in enumerate(path):
        before, after = path[max(index - 1, 0)], path[min(index + 1, len(path) - 1)]
        along_x, along_z = after[0] - before[0], after[1] - before[1]
        length = math.hypot(along_x, along_z)
        side_x, side_z = -along_z / length, along_x / length
        ring: Ring = []
        for turn in range(steps):
            across, y = radius * math.cos(turn * math.tau / steps), radius * math.sin(turn * math.tau / steps)
            ring.append((x + side_x * across, y, z + side_z * across))
        rings.append(ring)
    return _skin(name, rings, caps=False)


def arch(half_width: float, rise: float, bend: float, *, steps: int = 10) -> list[tuple[float, float]]:
    """The path of a carrying handle: up, round a bend, across, round a bend, down."""
    left = [(-half_width, 0.0)]
    turn = [step * math.pi / 2 / steps for step in range(steps + 1)]
    left += [(-half_width + bend * (1 - math.cos(a)), rise - bend * (1 - math.sin(a))) for a in turn]
    return left + [(-x, z) for x, z in reversed(left)]


def rounded_profile(radius: float, height: float, soft: float, *, steps: int = 5) -> list[tuple[float, float]]:
    """The outline of a knob: flat below, its upper edge softened by `soft`, flat above."""
    turn = [step * math.pi / 2 / steps for step in range(steps + 1)]
    edge = [(radius - soft * (1 - math.cos(a)), height - soft * (1 - math.sin(a))) for a in turn]
    return [(0.0, 0.0), (radius * 0.98, 0.0), (radius, 0.0), *edge, (radius - soft * 1.2, height), (0.0, height)]


def _rounded_rectangle(
    width: float, height: float, corner: float, inset: float, steps: int
) -> list[tuple[float, float]]:
    """Its outline, counter-clockwise seen from the front, moved inwards by `inset`."""
    radius = max(corner - inset, 1e-4)
    centre_x, centre_z = width / 2 - inset - radius, height / 2 - inset - radius
    points: list[tuple[float, float]] = []
    for quarter, (side_x, side_z) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        for step in range(steps + 1):
            angle = (quarter + step / steps) * math.pi / 2
            points.append((side_x * centre_x + radius * math.cos(angle), side_z * centre_z + radius * math.sin(angle)))
    return points


def _skin(name: str, rings: list[Ring], *, caps: bool) -> bpy.types.Object:
    """Quads between neighbouring rings; smooth, with outward normals and edges sharper than 40 degrees kept."""
    count = len(rings[0])
    points = [point for ring in rings for point in ring]
    faces: list[tuple[int, ...]] = []
    for level in range(len(rings) - 1):
        for index in range(count):
            here, following = level * count + index, level * count + (index + 1) % count
            faces.append((here, following, following + count, here + count))
    if caps:
        faces.append(tuple(reversed(range(count))))
        faces.append(tuple(range(len(points) - count, len(points))))
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points, [], faces)
    object_ = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(object_)
    _clean(mesh)
    layer = mesh.uv_layers.new(name="UVMap")
    for loop in mesh.loops:
        position = mesh.vertices[loop.vertex_index].co
        layer.data[loop.index].uv = (position.x, position.z)
    mesh.shade_smooth()
    mesh.set_sharp_from_angle(angle=math.radians(40))
    return object_


def _clean(mesh: bpy.types.Mesh) -> None:
    """Merge the coincident points of closed ends and turn all faces outwards."""
    import bmesh  # type: ignore[import-not-found]  # comes with bpy, and only once bpy is imported

    work = bmesh.new()
    work.from_mesh(mesh)
    bmesh.ops.remove_doubles(work, verts=work.verts[:], dist=1e-6)
    bmesh.ops.recalc_face_normals(work, faces=work.faces[:])
    work.to_mesh(mesh)
    work.free()
