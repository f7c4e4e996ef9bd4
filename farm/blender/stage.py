"""The stage: a template with one subject on it, centred, scaled to the unit sphere, standing on the ground."""

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from farm import templates
from farm.blender.camera import Array, Lens
from farm.blender.importing import Object, import_model
from farm.errors import BadModel
from farm.shot import Shot

SIZES = 1e-9, 1e9  # radii in metres that single-precision matrices carry safely


@dataclass(frozen=True)
class Stage:
    """A template's objects by their contract names, and the subject's surface as world points of shape (n, 3)."""

    camera: Object
    ground: Object
    subject: list[Object]
    points: Array
    lens: Lens


def set_up(shot: Shot) -> Stage:
    """Open the template afresh and put the shot's model on it. Raises BadModel."""
    bpy.ops.wm.open_mainfile(filepath=str(templates.blend(shot.template)), load_ui=False, use_scripts=False)
    camera, ground, place = (bpy.data.objects[name] for name in ("Camera", "Ground", "Subject"))
    subject = import_model(Path(shot.model_path))
    points = surface(subject)
    low, high = points.min(axis=0), points.max(axis=0)
    centre = (low + high) / 2
    radius = float(np.linalg.norm(points - centre, axis=1).max())
    if not SIZES[0] < radius < SIZES[1]:  # nor is "not a number"
        raise BadModel("The model has no size: all of its points fall together, or some are not finite numbers")
    foot = np.array([centre[0], centre[1], low[2]])
    place.matrix_world = Matrix.Scale(1 / radius, 4) @ Matrix.Translation(Vector((-foot).tolist()))
    for thing in subject:
        if thing.parent is None:
            thing.parent = place
    lens = Lens(
        focal_length=camera.data.lens,
        elevation=camera["elevation"],
        margin=camera["fit_margin"],
        target=float(centre[2] - low[2]) / radius,
        width=shot.width,
        height=shot.height,
    )
    return Stage(camera, ground, subject, (points - foot) / radius, lens)


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
