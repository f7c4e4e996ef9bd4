"""The stage: a template with one subject on it, turned, centred, scaled to the unit sphere, standing on the ground."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from camera_paths import Pose
from farm.blender import sets
from farm.blender.importing import Imported, Object, import_model
from farm.blender.materials import is_invisible
from farm.blender.template import open_template
from farm.errors import BadModel
from farm.scene import framing
from farm.scene.camera import Array, Lens
from farm.scene.shot import ShotSetup

MIN_RADIUS, MAX_RADIUS = 1e-9, 1e9  # metres; the range that single-precision matrices hold safely
CLIP_SAMPLES_PER_SECOND, MAX_CLIP_SAMPLES = 15, 90  # for measuring the bounds of an animated model


@dataclass
class Stage:
    """A template's objects by their contract names, and the subject that stands on it.

    `subject` is the imported objects, children of `root`; `root_matrix` is the root's matrix at the subject's full
    size, and `points` the surface at that size, as world points of shape (n, 3). `sphere_height` is the height of the
    bounding sphere's centre above the ground; the sphere's radius is 1. `set` is the meshes of the template's set, and
    `set_points` the surface of those that the camera sees, of shape (m, 3).
    """

    camera: Object
    ground: Object
    root: Object
    subject: list[Object]
    clip_seconds: float
    root_matrix: Matrix
    points: Array
    sphere_height: float
    lens: Lens
    set: list[Object]
    set_points: Array

    @property
    def drawn(self) -> list[Object]:
        """All objects that may be in the film."""
        return self.subject + self.set

    @property
    def seen_set(self) -> list[Object]:
        """The objects of the set but its gobos."""
        return [object_ for object_ in self.set if not sets.is_gobo(object_)]

    def remove_set(self) -> None:
        """Take the set away for good."""
        bpy.data.batch_remove(self.set)
        self.set, self.set_points = [], np.empty((0, 3))

    @property
    def moves(self) -> bool:
        """Whether an animation clip plays."""
        return self.clip_seconds > 0

    def show_at(self, seconds: float, scale: float = 1.0) -> Array:
        """Show the clip at `seconds` with the subject scaled by `scale`. Returns its surface, of shape (n, 3)."""
        self.root.matrix_world = Matrix.Scale(scale, 4) @ self.root_matrix
        if self.moves:
            set_time(seconds % self.clip_seconds)
            self.points = surface(self.subject)
            return self.points
        return self.points * scale


def set_up(shot: ShotSetup) -> Stage:
    """Open the template afresh and place the shot's model in it. Raises BadTemplate and BadModel."""
    parts = open_template(Path(shot.template))
    set_ = sets.drawn(bpy.context.scene)
    camera, ground, root = parts["Camera"], parts["Ground"], parts["Subject"]
    imported = import_model(Path(shot.model_path), shot.animation)
    for object_ in imported.objects:
        if object_.parent is None:
            object_.parent = root
    root.matrix_world = rotation(shot)
    bounds = measure(imported)
    to_unit_sphere = Matrix.Scale(1 / bounds.radius, 4) @ Matrix.Translation(Vector((-bounds.foot).tolist()))
    root_matrix = to_unit_sphere @ rotation(shot)
    root.matrix_world = root_matrix
    sphere_height = bounds.height / bounds.radius
    hull = (bounds.hull - bounds.foot) / bounds.radius
    sets.place(set_, float(np.hypot(hull[:, 0], hull[:, 1]).max()))
    lens = framing.fit(
        Lens.around_sphere(
            camera.data.lens, camera["elevation"], camera["fit_margin"], sphere_height, shot.width, shot.height
        ),
        hull,
        [Pose(*pose) for pose in shot.path],
        margin=camera["fit_margin"],
        shadow=shot.shadows,
    )
    seen = [object_ for object_ in set_ if not sets.is_gobo(object_)]
    return Stage(
        camera=camera,
        ground=ground,
        root=root,
        subject=imported.objects,
        clip_seconds=imported.clip_seconds,
        root_matrix=root_matrix,
        points=surface(imported.objects),
        sphere_height=sphere_height,
        lens=lens,
        set=set_,
        set_points=surface(seen) if seen else np.empty((0, 3)),
    )


def rotation(shot: ShotSetup) -> Matrix:
    """The model's rotation: roll about the axis towards the viewer (-Y), then tilt about X, then pan about Z, up."""
    roll = Matrix.Rotation(math.radians(shot.roll_z), 4, (0, -1, 0))
    tilt = Matrix.Rotation(math.radians(shot.tilt_x), 4, (1, 0, 0))
    pan = Matrix.Rotation(math.radians(shot.pan_x), 4, (0, 0, 1))
    return pan @ tilt @ roll


@dataclass(frozen=True)
class Bounds:
    """The bounds of a model over its whole clip, in world units.

    `foot` is the point of shape (3,) on the ground below the bounding sphere's centre, `radius` the sphere's, `height`
    that of its centre above the foot; `hull` are the outermost points of the surface, of shape (n, 3).
    """

    foot: Array
    radius: float
    height: float
    hull: Array


def measure(model: Imported) -> Bounds:
    """Raises BadModel when the model has no size."""
    corners = np.array([(cloud.min(axis=0), cloud.max(axis=0)) for cloud in clip_surfaces(model)])
    low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    centre = (low + high) / 2
    radius, hulls = 0.0, []
    for cloud in clip_surfaces(model):
        radius = max(radius, float(np.linalg.norm(cloud - centre, axis=1).max()))
        hulls.append(framing.hull(cloud))
    if not MIN_RADIUS < radius < MAX_RADIUS:  # also true of NaN
        raise BadModel("The model has no size: all of its points coincide, or some are not finite numbers")
    foot = np.array([centre[0], centre[1], low[2]])
    return Bounds(foot, radius, float(centre[2] - low[2]), framing.hull(np.concatenate(hulls)))


def clip_surfaces(model: Imported) -> Iterator[Array]:
    """The model's surface at regular times of its clip; once for a model without one."""
    count = min(math.ceil(model.clip_seconds * CLIP_SAMPLES_PER_SECOND), MAX_CLIP_SAMPLES)
    for step in range(count + 1):
        if count:
            set_time(model.clip_seconds * step / count)
        yield surface(model.objects)


def set_time(seconds: float) -> None:
    """Set the scene's current time."""
    scene = bpy.context.scene
    frame = seconds * scene.render.fps
    scene.frame_set(math.floor(frame), subframe=frame % 1)


def surface(objects: list[Object]) -> Array:
    """The world positions of all visible vertices after modifiers and skinning, shape (n, 3). Raises BadModel.

    A vertex is visible if it belongs to a face whose material is not fully transparent; loose edges and points are not.
    """
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    names = {object_.name for object_ in objects}
    clouds = []
    for instance in graph.object_instances:
        owner = instance.parent if instance.is_instance else instance.object
        if owner.original.name not in names or instance.object.type != "MESH" or not instance.show_self:
            continue
        world = np.array(instance.matrix_world)
        clouds.append(_visible_vertices(instance.object) @ world[:3, :3].T + world[:3, 3])
    if not sum(map(len, clouds)):
        raise BadModel("The model has no visible surface: its meshes are empty, hidden or fully transparent")
    points: Array = np.concatenate(clouds).astype(np.float64)
    return points


def _visible_vertices(object_: Object) -> NDArray[np.float32]:
    """The positions of the vertices of visible faces, shape (n, 3)."""
    mesh = object_.data
    corners = np.empty(len(mesh.loops), dtype=np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    hidden = [
        index for index, slot in enumerate(object_.material_slots) if slot.material and is_invisible(slot.material)
    ]
    if hidden:
        materials, sizes = (np.empty(len(mesh.polygons), dtype=np.int32) for _ in range(2))
        mesh.polygons.foreach_get("material_index", materials)
        mesh.polygons.foreach_get("loop_total", sizes)
        corners = corners[np.repeat(~np.isin(materials, hidden), sizes)]
    positions = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", positions)
    used = np.zeros(len(mesh.vertices), dtype=bool)
    used[corners] = True
    visible: NDArray[np.float32] = positions.reshape(-1, 3)[used]
    return visible
