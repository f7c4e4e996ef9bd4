"""Check a template's set: what it may hold, and that it leaves room for the model and for the camera's view."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import bpy
import numpy as np
from mathutils import Matrix, Vector
from mathutils.bvhtree import BVHTree

from farm.blender.importing import Object
from farm.blender.materials import is_invisible, materials
from farm.blender.sets import drawn, is_gobo, members
from farm.scene.camera import Lens, view
from farm.templates import contract
from farm.templates.contract import Violation

MAX_DISTANCE = 500.0  # scene units from the origin; the camera's film ends at 1000
TOLERANCE = 0.01  # scene units
SUBJECT_RADIUS, SUBJECT_HEIGHT = 1.0, 2.0  # of the cylinder that holds every model
CYLINDER_SIDES = 48
SIGHT_STEP_DEGREES = 5
SIGHT_HEIGHTS, SIGHT_RADIUS, SIGHT_SPOKES = (0.05, 1.0, 1.9), 0.9, 8  # points of the subject that are to be seen
MAX_ZOOM_OUT = 6.0  # times the distance at which the subject fits: zoom of 2 and zoomEnd of 3
MAX_CULLED_FACES = 64  # that a line of sight passes


def find_set_violations(scene: bpy.types.Scene) -> Iterator[Violation]:
    """All violations of the contract in the collection Set; none if there is no such collection."""
    if contract.SET not in {each.name for each in scene.collection.children_recursive}:
        return
    instancers = _instancers()
    for object_ in members(scene):
        yield from _check_kind(object_, makes_instances=object_.name in instancers)
        yield from _check_unmoved(object_, members(scene))
    shown = drawn(scene)
    if not shown:
        fix = "Move a mesh into it, enable it in renders, or delete the collection"
        yield Violation(contract.SET, "nothing in it is drawn", fix)
    for material in materials(shown):
        yield from _check_material(material)
    solids = _solids(shown)
    moved = _moving(scene, shown, solids)
    for object_ in shown:
        if object_.name in moved:
            yield Violation(
                object_.name,
                "it has another shape in other frames, and the farm draws all frames with that of the first",
                "Apply its modifiers, or remove the simulation",
            )
        yield from _check_faces(scene, object_, solids.get(object_.name))


def _check_kind(object_: Object, *, makes_instances: bool) -> Iterator[Violation]:
    if object_.name in {part.name for part in contract.PARTS}:
        yield Violation(
            object_.name,
            f"it is in the collection {contract.SET}, too",
            f"Unlink it there: it belongs into {contract.STAGE} alone",
        )
    elif object_.type not in {"MESH", "EMPTY", "LIGHT"}:  # a light needs the collection Lights as well
        yield Violation(
            object_.name,
            f"it is of type {object_.type}, and a set holds meshes, and empties as their parents",
            "Object > Convert > Mesh, or delete it",
        )
    elif makes_instances or object_.instance_type != "NONE" or object_.particle_systems:
        yield Violation(
            object_.name,
            "it makes instances or particles, and a set holds meshes, and empties as their parents",
            "Object > Apply > Make Instances Real, add a node Realize Instances, or delete it",
        )
    elif object_.type == "MESH" and (object_.is_holdout or object_.is_shadow_catcher):
        yield Violation(
            object_.name,
            "it is a holdout or a shadow catcher, which has no colour in the film",
            "Object Properties > Visibility: untick Holdout and Shadow Catcher",
        )


def _instancers() -> set[str]:
    """The names of the objects that make instances, by geometry nodes for example."""
    graph = bpy.context.evaluated_depsgraph_get()
    return {each.parent.original.name for each in graph.object_instances if each.is_instance and each.parent}


def _check_unmoved(object_: Object, allowed_parents: list[Object]) -> Iterator[Violation]:
    """What moves with the camera or the model would leave the part of the film that is drawn."""
    movers = {
        "a constraint": object_.constraints,
        "a parent outside of the set": object_.parent and object_.parent not in allowed_parents,
        "a driver": object_.animation_data and object_.animation_data.drivers,
    }
    for mover, present in movers.items():
        if present:
            yield Violation(
                object_.name, f"{mover} moves it", "Object > Apply > Visual Transform, then remove what moves it"
            )


def _check_material(material: bpy.types.Material) -> Iterator[Violation]:
    for node in material.node_tree.nodes if material.node_tree else ():
        if node.type == "OUTPUT_MATERIAL" and node.inputs["Volume"].is_linked:
            yield Violation(
                material.name,
                "it has a volume, which would hide the model and its background",
                "Shader editor: delete the link to Volume of the Material Output",
            )


@dataclass(frozen=True)
class Solid:
    """The visible faces of an object at the size for a model that needs a circle of radius 1.

    `points` of shape (n, 3) in world units; `triangles` their indices; `culled` tells which triangles are not drawn
    from behind.
    """

    points: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    triangles: list[tuple[int, int, int]]
    culled: list[bool]

    def tree(self) -> BVHTree:
        return BVHTree.FromPolygons(self.points.tolist(), self.triangles, all_triangles=True)


def _solids(objects: list[Object]) -> dict[str, Solid]:
    """The objects that have a visible face, by name."""
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    found = {}
    for object_ in objects:
        evaluated = object_.evaluated_get(graph)
        mesh = evaluated.data
        mesh.calc_loop_triangles()
        slots = [slot.material for slot in evaluated.material_slots] or [None]
        is_visible = [not (material and is_invisible(material)) for material in slots]
        is_culled = [bool(material and material.use_backface_culling) for material in slots]
        numbered = [(triangle, min(triangle.material_index, len(slots) - 1)) for triangle in mesh.loop_triangles]
        seen = [(tuple(triangle.vertices), slot) for triangle, slot in numbered if is_visible[slot]]
        if not seen:
            continue
        size = object_.get(contract.FOOTPRINT.name)
        world = Matrix.Scale(size, 4) @ object_.matrix_world if isinstance(size, int | float) else object_.matrix_world
        positions = np.empty(len(mesh.vertices) * 3)
        mesh.vertices.foreach_get("co", positions)
        matrix = np.array(world)
        found[object_.name] = Solid(
            positions.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3],
            [corners for corners, _ in seen],
            [is_culled[slot] for _, slot in seen],
        )
    return found


def _moving(scene: bpy.types.Scene, objects: list[Object], solids: dict[str, Solid]) -> set[str]:
    """The names of the objects that have another shape a few frames later."""
    now = scene.frame_current
    scene.frame_set(now + 7)
    later = _solids(objects)
    scene.frame_set(now)
    return {
        name
        for name, solid in solids.items()
        if name not in later
        or later[name].points.shape != solid.points.shape
        or not np.allclose(later[name].points, solid.points, equal_nan=True)
    }


def _check_faces(scene: bpy.types.Scene, object_: Object, solid: Solid | None) -> Iterator[Violation]:
    if solid is None:
        yield Violation(
            object_.name, "it has no face that could be seen", "Give it faces and a visible material, or delete it"
        )
    elif not np.isfinite(solid.points).all() or np.abs(solid.points).max() > MAX_DISTANCE:
        yield Violation(
            object_.name,
            f"it reaches farther than {MAX_DISTANCE:g} from the origin",
            "Make it smaller, or move it nearer: the camera sees no farther",
        )
    elif not is_gobo(object_):
        yield from _check_place(scene, object_, solid)


def _check_place(scene: bpy.types.Scene, object_: Object, solid: Solid) -> Iterator[Violation]:
    tree = solid.tree()
    if _is_inside(solid) or tree.overlap(_subject_space()):
        yield Violation(
            object_.name,
            "it stands where the model stands",
            f"Keep it out of the {SUBJECT_RADIUS:g} around the vertical axis from z = 0 to z = {SUBJECT_HEIGHT:g}",
        )
        return
    ground = scene.objects.get("Ground")
    strengths = [ground.get(name) for name in ("shadow_strength", "reflector_strength")] if ground else []
    if solid.points[:, 2].min() < -TOLERANCE and any(strengths):
        yield Violation(
            object_.name,
            "it reaches below z = 0, where the floor's shadow and mirror image would be drawn around it",
            "Custom Properties of Ground: set shadow_strength and reflector_strength to 0, or raise it to z = 0",
        )
    camera = scene.objects.get("Camera")
    if camera and camera.type == "CAMERA" and (azimuth := _blocked_azimuth(camera, solid, tree)) is not None:
        yield Violation(
            object_.name,
            f"it hides the model from the camera at azimuth {azimuth}",
            "Move it below the floor or out of the camera's circle, or tick Settings > Backface Culling of its "
            "material and turn its front to the model",
        )


def _is_inside(solid: Solid) -> bool:
    away, height = np.hypot(solid.points[:, 0], solid.points[:, 1]), solid.points[:, 2]
    inside = (away < SUBJECT_RADIUS - TOLERANCE) & (height > TOLERANCE) & (height < SUBJECT_HEIGHT - TOLERANCE)
    return bool(inside.any())


def _subject_space() -> BVHTree:
    """The cylinder that a model may fill, a little smaller."""
    turns = [2 * math.pi * side / CYLINDER_SIDES for side in range(CYLINDER_SIDES)]
    radius, low, high = SUBJECT_RADIUS - TOLERANCE, TOLERANCE, SUBJECT_HEIGHT - TOLERANCE
    rings = [(radius * math.cos(turn), radius * math.sin(turn), height) for height in (low, high) for turn in turns]
    around = [
        (side, (side + 1) % CYLINDER_SIDES, (side + 1) % CYLINDER_SIDES + CYLINDER_SIDES, side + CYLINDER_SIDES)
        for side in range(CYLINDER_SIDES)
    ]
    caps = [tuple(range(CYLINDER_SIDES)), tuple(range(CYLINDER_SIDES, 2 * CYLINDER_SIDES))]
    return BVHTree.FromPolygons(rings, [*around, *caps])


def _blocked_azimuth(camera: Object, solid: Solid, tree: BVHTree) -> int | None:
    """The first azimuth in degrees at which the set hides a part of the space of models from the camera."""
    try:
        lens = Lens.around_sphere(
            camera.data.lens, float(camera["elevation"]), float(camera["fit_margin"]), 1.0, width=9, height=16
        )
    except (KeyError, TypeError, ValueError):
        return None  # reported as a wrong property
    lens = replace(lens, distance=lens.distance * MAX_ZOOM_OUT)
    spokes = [2 * math.pi * spoke / SIGHT_SPOKES for spoke in range(SIGHT_SPOKES)]
    targets = [
        Vector((radius * math.cos(spoke), radius * math.sin(spoke), height))
        for height in SIGHT_HEIGHTS
        for radius in (0.0, SIGHT_RADIUS)
        for spoke in spokes
    ]
    for azimuth in range(0, 360, SIGHT_STEP_DEGREES):
        eye = Vector(view(lens, azimuth, 1.0).position.tolist())
        if any(_is_hidden(solid, tree, target, eye) for target in targets):
            return azimuth
    return None


def _is_hidden(solid: Solid, tree: BVHTree, target: Vector, eye: Vector) -> bool:
    """Whether a face stands between the points, one that is drawn from the side of `eye`."""
    way = eye - target
    direction, start, left = way.normalized(), target, way.length
    for _ in range(MAX_CULLED_FACES):
        _, normal, index, distance = tree.ray_cast(start, direction, left)
        if index is None:
            return False
        if not (solid.culled[index] and normal.dot(direction) < 0):
            return True
        start, left = start + direction * (distance + TOLERANCE), left - distance - TOLERANCE
        if left <= 0:
            return False
    return True
