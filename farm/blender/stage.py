"""The stage: a template with one subject on it, turned, centred, scaled to the unit sphere, standing on the ground."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from farm.blender.importing import Imported, Object, import_model
from farm.blender.template import open_template
from farm.errors import BadModel
from farm.scene.camera import Array, Lens
from farm.scene.shot import ShotSetup

MIN_RADIUS, MAX_RADIUS = 1e-9, 1e9  # metres; the range that single-precision matrices hold safely
CLIP_SAMPLES_PER_SECOND, MAX_CLIP_SAMPLES = 15, 90  # for measuring the bounds of an animated model


@dataclass
class Stage:
    """A template's objects by their contract names, and the subject that stands on it.

    `subject` is the imported objects, children of `root`; `root_matrix` is the root's matrix at the subject's full
    size, and `points` the surface at that size, as world points of shape (n, 3).
    """

    camera: Object
    ground: Object
    root: Object
    subject: list[Object]
    clip_seconds: float
    root_matrix: Matrix
    points: Array
    lens: Lens

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
    camera, ground, root = parts["Camera"], parts["Ground"], parts["Subject"]
    imported = import_model(Path(shot.model_path), shot.animation)
    for object_ in imported.objects:
        if object_.parent is None:
            object_.parent = root
    root.matrix_world = rotation(shot)
    foot, radius, height = bounding_sphere(imported)
    root_matrix = Matrix.Scale(1 / radius, 4) @ Matrix.Translation(Vector((-foot).tolist())) @ rotation(shot)
    root.matrix_world = root_matrix
    lens = Lens(
        focal_length=camera.data.lens,
        elevation=camera["elevation"],
        margin=camera["fit_margin"],
        target=height / radius,
        width=shot.width,
        height=shot.height,
    )
    points = surface(imported.objects)
    return Stage(camera, ground, root, imported.objects, imported.clip_seconds, root_matrix, points, lens)


def rotation(shot: ShotSetup) -> Matrix:
    """The model's rotation: roll about the axis towards the viewer (-Y), then tilt about X, then pan about Z, up."""
    roll = Matrix.Rotation(math.radians(shot.roll_z), 4, (0, -1, 0))
    tilt = Matrix.Rotation(math.radians(shot.tilt_x), 4, (1, 0, 0))
    pan = Matrix.Rotation(math.radians(shot.pan_x), 4, (0, 0, 1))
    return pan @ tilt @ roll


def bounding_sphere(model: Imported) -> tuple[Array, float, float]:
    """The bounding sphere of a model over its whole clip, in world units.

    Returns the foot (the point of shape (3,) on the ground below the sphere's centre), the sphere's radius and the
    height of its centre above the foot. Raises BadModel when the model has no size.
    """
    corners = np.array([(cloud.min(axis=0), cloud.max(axis=0)) for cloud in clip_surfaces(model)])
    low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    centre = (low + high) / 2
    radius = max(float(np.linalg.norm(cloud - centre, axis=1).max()) for cloud in clip_surfaces(model))
    if not MIN_RADIUS < radius < MAX_RADIUS:  # also true of NaN
        raise BadModel("The model has no size: all of its points coincide, or some are not finite numbers")
    return np.array([centre[0], centre[1], low[2]]), radius, float(centre[2] - low[2])


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
    """The world positions of all rendered vertices after modifiers and skinning, shape (n, 3). Raises BadModel."""
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    names = {object_.name for object_ in objects}
    clouds = []
    for instance in graph.object_instances:
        owner = instance.parent if instance.is_instance else instance.object
        if owner.original.name not in names or instance.object.type != "MESH" or not instance.show_self:
            continue
        mesh = instance.object.data
        flat = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
        mesh.vertices.foreach_get("co", flat)
        world = np.array(instance.matrix_world)
        clouds.append(flat.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3])
    if not clouds:
        raise BadModel("The model has no mesh: the file's scene has no visible surface")
    points: Array = np.concatenate(clouds).astype(np.float64)
    return points
