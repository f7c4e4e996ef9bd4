"""The winding of a mesh's faces: normals that oppose it, and closed surfaces that are turned inside out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

MAX_OPENING = 1e-2  # of a closed surface: the length of its vector area as a share of its area
MIN_VOLUME = 1e-4  # of a shell, as a share of its area to the power 3/2; 0.094 is a sphere's
HAIR = 1e-4  # of the model's size, by which coincident faces are moved
HASH = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)  # odd, of random bits

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Faces:
    """A mesh's faces: index of the material, area, unit normal by the winding, centre and corners of each.

    `corner` is the face of each corner and `first_corner` the first one of each face. Blender's own face normals follow
    the file's normals.
    """

    material: NDArray[np.int32]
    area: Array
    normal: Array
    centre: Array
    corner: NDArray[np.intp]
    first_corner: NDArray[np.int32]

    @classmethod
    def of(cls, mesh: bpy.types.Mesh) -> "Faces":
        count = len(mesh.polygons)
        material, first, vertices = (np.empty(size, np.int32) for size in (count, count, len(mesh.loops)))
        centre, positions = np.empty(3 * count, np.float32), _positions(mesh)
        mesh.polygons.foreach_get("material_index", material)
        mesh.polygons.foreach_get("loop_start", first)
        mesh.polygons.foreach_get("center", centre)
        mesh.loops.foreach_get("vertex_index", vertices)
        one, two, three = (positions[vertices[first + at]] for at in range(3))  # glTF: triangles
        normal = np.cross(two - one, three - one)
        length = np.linalg.norm(normal, axis=1)
        normal /= np.maximum(length, 1e-30)[:, None]
        corner = np.repeat(np.arange(count), np.diff(first, append=len(vertices)))
        return cls(material, length / 2, normal, centre.reshape(-1, 3), corner, first)

    def groups(self) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Each material's index, and which faces have it: a primitive of the file."""
        for index in np.unique(self.material):
            yield int(index), self.material == index


def face_normals_forwards(mesh: bpy.types.Mesh) -> None:
    """Negate the file's normals of every material whose faces mostly oppose them: they would be drawn black."""
    if not mesh.has_custom_normals or not len(mesh.polygons):
        return
    faces = Faces.of(mesh)
    normals = np.empty(3 * len(mesh.loops), np.float32)
    mesh.corner_normals.foreach_get("vector", normals)
    normals = normals.reshape(-1, 3)
    agreement = np.add.reduceat((normals * faces.normal[faces.corner]).sum(axis=1), faces.first_corner)
    opposing = np.zeros(len(faces.area), dtype=bool)
    for _, chosen in faces.groups():
        opposing |= chosen & bool((np.sign(agreement) * faces.area)[chosen].sum() < 0)
    if opposing.any():
        normals[opposing[faces.corner]] *= -1
        mesh.normals_split_custom_set(normals)


def part_coincident_faces(objects: Iterable[bpy.types.Object]) -> None:
    """Move faces that lie on each other back to back, such as both sides of a leaf, apart by a hair.

    A camera ray of Cycles that passes the back of one would pass the front of the other, too.
    """
    scales = {object_: max(object_.matrix_world.to_scale(), key=abs) for object_ in objects}
    size = max(abs(scale) * max(_size(object_.data), 1e-30) for object_, scale in scales.items())
    for mesh, scale in {object_.data: abs(scale) for object_, scale in scales.items()}.items():
        if scale and not mesh.shape_keys and len(mesh.polygons):
            _part(mesh, HAIR * size / scale)


def _size(mesh: bpy.types.Mesh) -> float:
    positions = _positions(mesh)
    return float(np.ptp(positions, axis=0).max()) if len(positions) else 0.0


def _part(mesh: bpy.types.Mesh, hair: float) -> None:
    faces, positions, corners = Faces.of(mesh), _positions(mesh), np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    # The sum of hashed positions is the same for any order of a face's corners.
    hashed = ((positions + 0.0).view(np.uint32).astype(np.uint64) * HASH).sum(axis=1)
    hashed = (hashed ^ hashed >> np.uint64(29)) * HASH[0]
    key = np.add.reduceat(hashed[corners], faces.first_corner)
    order = np.argsort(key, kind="stable")
    first, second = order[:-1], order[1:]
    opposite = (key[first] == key[second]) & ((faces.normal[first] * faces.normal[second]).sum(axis=1) < -0.999)
    doubled = np.zeros(len(key), dtype=bool)
    doubled[first[opposite]] = doubled[second[opposite]] = True
    if not doubled.any():
        return
    moves, moved = np.zeros_like(positions), doubled[faces.corner]
    np.add.at(moves, corners[moved], faces.normal[faces.corner[moved]])
    moves /= np.maximum(np.linalg.norm(moves, axis=1, keepdims=True), 1)
    mesh.vertices.foreach_set("co", (positions + moves * hair).ravel())
    mesh.update()


def _positions(mesh: bpy.types.Mesh) -> Array:
    positions = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", positions)
    return positions.reshape(-1, 3)


def shells(meshes: Iterable[bpy.types.Mesh]) -> set[bpy.types.Material]:
    """The materials all of whose surfaces are closed and turned inside out, such as an outline's hull or a room."""
    inverted: dict[bpy.types.Material, bool] = {}
    for mesh in meshes:
        faces = Faces.of(mesh)
        for index, chosen in faces.groups():
            material = mesh.materials[index] if index < len(mesh.materials) else None
            if material:
                inverted[material] = inverted.get(material, True) and _is_shell(faces, chosen)
    return {material for material, every in inverted.items() if every}


def _is_shell(faces: Faces, chosen: NDArray[np.bool_]) -> bool:
    area = faces.area[chosen].astype(np.float64)
    outwards = faces.normal[chosen] * area[:, None]
    centre = faces.centre[chosen]
    volume = ((centre - centre.mean(axis=0)) * outwards).sum() / 3
    closed = np.linalg.norm(outwards.sum(axis=0)) <= MAX_OPENING * area.sum()
    return bool(closed and volume < -MIN_VOLUME * area.sum() ** 1.5)
