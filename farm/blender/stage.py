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

SIZES = 1e-9, 1e9  # radii in metres that single-precision matrices carry safely
LOOKS_A_SECOND, MOST_LOOKS = 15, 90  # how closely a clip is followed to see how much room it takes


@dataclass
class Stage:
    """A template's objects by their contract names, and the subject that stands on it.

    `subject` is the imported objects, children of `place`; `placed` is the place's matrix at the subject's full size,
    and `points` its surface there, as world points of shape (n, 3).
    """

    camera: Object
    ground: Object
    place: Object
    subject: list[Object]
    clip_seconds: float
    placed: Matrix
    points: Array
    lens: Lens

    @property
    def moves(self) -> bool:
        """Whether an animation clip plays."""
        return self.clip_seconds > 0

    def go_to(self, seconds: float, scale: float = 1.0) -> Array:
        """Show the clip at `seconds`, the subject `scale` times its size. Returns its surface, of shape (n, 3)."""
        self.place.matrix_world = Matrix.Scale(scale, 4) @ self.placed
        if self.moves:
            go_to(seconds % self.clip_seconds)
            self.points = surface(self.subject)
            return self.points
        return self.points * scale


def set_up(shot: ShotSetup) -> Stage:
    """Open the template afresh and put the shot's model on it. Raises BadTemplate and BadModel."""
    parts = open_template(Path(shot.template))
    camera, ground, place = parts["Camera"], parts["Ground"], parts["Subject"]
    imported = import_model(Path(shot.model_path), shot.animation)
    for thing in imported.objects:
        if thing.parent is None:
            thing.parent = place
    place.matrix_world = turn(shot)
    foot, radius, middle = room(imported)
    placed = Matrix.Scale(1 / radius, 4) @ Matrix.Translation(Vector((-foot).tolist())) @ turn(shot)
    place.matrix_world = placed
    lens = Lens(
        focal_length=camera.data.lens,
        elevation=camera["elevation"],
        margin=camera["fit_margin"],
        target=middle / radius,
        width=shot.width,
        height=shot.height,
    )
    points = surface(imported.objects)
    return Stage(camera, ground, place, imported.objects, imported.clip_seconds, placed, points, lens)


def turn(shot: ShotSetup) -> Matrix:
    """The model's rotation: roll about the axis towards the viewer (-Y), then tilt about X, then pan about Z, up."""
    roll = Matrix.Rotation(math.radians(shot.roll_z), 4, (0, -1, 0))
    tilt = Matrix.Rotation(math.radians(shot.tilt_x), 4, (1, 0, 0))
    pan = Matrix.Rotation(math.radians(shot.pan_x), 4, (0, 0, 1))
    return pan @ tilt @ roll


def room(model: Imported) -> tuple[Array, float, float]:
    """The room that a model takes over its whole clip, in world units.

    Returns the foot (the point of shape (3,) on the ground right under the bounding sphere's centre), the sphere's
    radius and the height of its centre above the foot. Raises BadModel when the model has no size.
    """
    corners = np.array([(cloud.min(axis=0), cloud.max(axis=0)) for cloud in looks(model)])
    low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    centre = (low + high) / 2
    radius = max(float(np.linalg.norm(cloud - centre, axis=1).max()) for cloud in looks(model))
    if not SIZES[0] < radius < SIZES[1]:  # nor is "not a number"
        raise BadModel("The model has no size: all of its points fall together, or some are not finite numbers")
    return np.array([centre[0], centre[1], low[2]]), radius, float(centre[2] - low[2])


def looks(model: Imported) -> Iterator[Array]:
    """The model's surface at moments all along its clip; a model at rest is looked at once."""
    count = min(math.ceil(model.clip_seconds * LOOKS_A_SECOND), MOST_LOOKS)
    for moment in range(count + 1):
        if count:
            go_to(model.clip_seconds * moment / count)
        yield surface(model.objects)


def go_to(seconds: float) -> None:
    """Move the scene's clock."""
    scene = bpy.context.scene
    frame = seconds * scene.render.fps
    scene.frame_set(math.floor(frame), subframe=frame % 1)


def surface(objects: list[Object]) -> Array:
    """The world positions of all vertices that will be drawn, shape (n, 3). Modifiers and skins count."""
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    wanted = {thing.name for thing in objects}
    clouds = []
    for instance in graph.object_instances:
        owner = instance.parent if instance.is_instance else instance.object
        if owner.original.name not in wanted or instance.object.type != "MESH" or not instance.show_self:
            continue
        mesh = instance.object.data
        flat = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
        mesh.vertices.foreach_get("co", flat)
        world = np.array(instance.matrix_world)
        clouds.append(flat.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3])
    if not clouds:
        raise BadModel("The model has no mesh: nothing in the file's scene can be seen")
    points: Array = np.concatenate(clouds).astype(np.float64)
    return points
