"""Measures the accuracy of a dataset: against rays cast through the model by Embree, and between its views."""

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from trimesh.ray.ray_pyembree import RayMeshIntersector

from tests.dataset.dataset import DIAMETER, Array, Dataset

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Truth:
    """The hits of rays through pixel centres: planar depths (0 for no hit), normals, and the triangle or -1."""

    depths: Array
    normals: Array
    triangles: NDArray[np.int64]


def mesh_in_world(dataset: Dataset, source: trimesh.Trimesh) -> trimesh.Trimesh:
    """The source mesh, transformed to the dataset's world."""
    return source.copy().apply_transform(np.array(dataset.metadata["source_to_dataset"]))


def covered(dataset: Dataset, view: int, mesh: trimesh.Trimesh, rays: int = 8) -> Array:
    """The share of each pixel that the model covers, from `rays` x `rays` rays per pixel."""
    scene = RayMeshIntersector(mesh)
    shape = dataset.picture("masks", view).shape
    steps = (np.arange(rays) + 0.5) / rays
    shares = np.zeros(shape)
    for down in steps:
        for right in steps:
            origins, directions = (each.reshape(-1, 3) for each in dataset.rays(view, (right, down)))
            shares += scene.intersects_any(origins, directions).reshape(shape)
    return shares / rays**2


def picture_shift(dataset: Dataset, source: trimesh.Trimesh) -> Array:
    """The mean offset of the pictures' silhouettes in pixels, to the right and down: shape (2,).

    For a black model, so that brightness gives a pixel's coverage. By least squares: an offset of (x, y) changes the
    coverage by -x times its horizontal and -y times its vertical gradient.
    """
    mesh = mesh_in_world(dataset, source)
    slopes, changes = [], []
    for view in dataset.views:
        truth = covered(dataset, view, mesh)
        down, right = np.gradient(truth)
        edge = (down != 0) | (right != 0)
        slopes.append(np.column_stack([right[edge], down[edge]]))
        changes.append((1 - dataset.picture("images", view).mean(axis=-1) / 255 - truth)[edge])
    moved: Array = -np.linalg.lstsq(np.concatenate(slopes), np.concatenate(changes), rcond=None)[0]
    return moved


def cast(dataset: Dataset, view: int, mesh: trimesh.Trimesh) -> Truth:
    """Cast rays through all pixels. Embree finds the triangles; the hits are computed here in double precision."""
    origins, directions = (rays.reshape(-1, 3) for rays in dataset.rays(view))
    hit = RayMeshIntersector(mesh).intersects_first(origins, directions)
    normals = mesh.face_normals[hit]
    along = (directions * normals).sum(axis=1)
    depths = ((mesh.triangles[hit, 0] - origins) * normals).sum(axis=1) / np.where(along == 0, 1, along)
    facing = np.where((along > 0)[:, None], -normals, normals)
    shape = dataset.picture("masks", view).shape
    return Truth(np.where(hit < 0, 0, depths).reshape(shape), facing.reshape(*shape, 3), hit.reshape(shape))


@dataclass(frozen=True)
class AgainstMesh:
    """`near_enough`: the share of interior pixels whose depth is within 1.5 counts and 1e-5 diameters of the truth.

    `overlap` is the masks' intersection over union; `degrees` the median angle between the normals; `bounded` whether
    all true depths lie between near and far.
    """

    near_enough: float
    overlap: float
    degrees: float
    bounded: bool


def against_mesh(dataset: Dataset, source: trimesh.Trimesh) -> AgainstMesh:
    """Compare all views with the mesh."""
    mesh = mesh_in_world(dataset, source)
    errors, angles = [], []
    common = either = 0
    bounded = True
    tolerance = 1.5 * dataset.count + 1e-5 * DIAMETER
    near, far = dataset.transforms["depth_near"], dataset.transforms["depth_far"]
    for view in dataset.views:
        truth, mask = cast(dataset, view, mesh), dataset.mask(view)
        seen = truth.triangles >= 0
        common, either = common + (mask & seen).sum(), either + (mask | seen).sum()
        inside = interior(mask & seen)
        errors.append(np.abs(dataset.depth(view) - truth.depths)[inside])
        angles.append(degrees_between(dataset.normals(view)[inside], truth.normals[inside]))
        depths = truth.depths[inside]
        bounded &= bool(((depths > near - tolerance) & (depths < far + tolerance)).all())
    if not sum(map(len, errors)):
        return AgainstMesh(near_enough=0.0, overlap=0.0, degrees=180.0, bounded=False)
    return AgainstMesh(
        near_enough=float((np.concatenate(errors) <= tolerance).mean()),
        overlap=float(common / either),
        degrees=float(np.median(np.concatenate(angles))),
        bounded=bounded,
    )


def across_views(dataset: Dataset) -> float:
    """The share of a view's interior points that the next view but one shows at the same depth, of those it can see.

    Needs no mesh. Points that face away from the other camera, or are far behind its depth, are hidden and skipped.
    Depths are compared at the point's projection, between four pixels of one surface. 0 when there are no such points.
    """
    agree = total = 0
    for view in dataset.views:
        other = (view + 2) % len(dataset.views)
        inside = interior(dataset.mask(view))
        points, normals = dataset.points(view)[inside], dataset.normals(view)[inside]
        sight = dataset.pose(other)[:3, 3] - points
        facing = (sight * normals).sum(axis=1) > 0.2 * np.linalg.norm(sight, axis=1)
        columns, rows, depths = dataset.project(other, points)
        surface, flat = between(dataset, other, columns, rows)
        visible = facing & flat & (depths <= surface + 1e-3 * DIAMETER)
        agree += int((np.abs(depths - surface)[visible] <= 2e-4 * DIAMETER).sum())
        total += int(visible.sum())
    return agree / max(total, 1)


def between(dataset: Dataset, view: int, columns: Array, rows: Array) -> tuple[Array, Mask]:
    """The depth interpolated between pixel centres, and where it is valid: all four pixels belong to one plane."""
    mask, depth = interior(dataset.mask(view)), dataset.depth(view)
    side = mask.shape[0]
    left, top = np.floor(columns - 0.5).astype(int), np.floor(rows - 0.5).astype(int)
    inside = (left >= 0) & (top >= 0) & (left < side - 1) & (top < side - 1)
    left, top = np.clip(left, 0, side - 2), np.clip(top, 0, side - 2)
    x, y = columns - 0.5 - left, rows - 0.5 - top
    # Inverse depth is linear over a plane's picture.
    a, b, c, d = (1 / depth[top + down, left + right] for down in (0, 1) for right in (0, 1))
    covered = np.all([mask[top + down, left + right] for down in (0, 1) for right in (0, 1)], axis=0)
    faces = [dataset.picture("normals", view)[top + down, left + right] for down in (0, 1) for right in (0, 1)]
    plane = (np.abs(a - b - c + d) < 1e-5) & (np.ptp(faces, axis=0) == 0).all(axis=1)
    blend = (a * (1 - x) + b * x) * (1 - y) + (c * (1 - x) + d * x) * y
    return 1 / blend, inside & covered & plane


def fused(dataset: Dataset, source: trimesh.Trimesh, max_points: int = 1000) -> float:
    """The median distance from the surface of points unprojected from all depths, in diameters."""
    mesh = mesh_in_world(dataset, source)
    clouds = [dataset.points(view)[dataset.mask(view)] for view in dataset.views]
    points = np.concatenate(clouds)
    chosen = np.random.default_rng(0).choice(len(points), min(max_points, len(points)), replace=False)
    return float(np.median([distance_to(mesh, point) for point in points[chosen]]) / DIAMETER)


def distance_to(mesh: trimesh.Trimesh, point: Array) -> float:
    """The distance of a point from the nearest triangle."""
    nearest = trimesh.triangles.closest_point(mesh.triangles, np.broadcast_to(point, (len(mesh.faces), 3)))
    return float(np.linalg.norm(nearest - point, axis=1).min())


def interior(mask: Mask) -> Mask:
    """The mask's pixels whose eight neighbours are all in it."""
    return np.asarray(np.all(shifted(mask, 1), axis=0))


def dilated(mask: Mask, pixels: int) -> Mask:
    """The mask dilated by `pixels`."""
    return np.asarray(np.any(shifted(mask, pixels), axis=0))


def shifted(mask: Mask, reach: int) -> list[Mask]:
    """The mask shifted by every offset up to `reach`; outside the picture it is False."""
    padded = np.pad(mask, reach)
    (height, width), steps = mask.shape, range(2 * reach + 1)
    return [padded[y : y + height, x : x + width] for y in steps for x in steps]


def degrees_between(ones: Array, others: Array) -> Array:
    """Angles between vectors of any length, shape (n, 3)."""
    crossed = np.linalg.norm(np.cross(ones, others), axis=1)
    angles: Array = np.degrees(np.arctan2(crossed, (ones * others).sum(axis=1)))
    return angles
