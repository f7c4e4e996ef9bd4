"""A template's set: meshes of its own that are drawn with the subject, such as a pedestal, a backdrop or a gobo."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import bpy
from mathutils import Matrix

from farm.blender.culling import cull_backs
from farm.blender.importing import Object
from farm.blender.materials import is_opaque, materials
from farm.blender.unseen import is_in_renders
from farm.templates import contract


def members(scene: bpy.types.Scene) -> list[Object]:
    """All objects of the collection Set, hidden ones included; none if the template has no set."""
    found = (each for each in scene.collection.children_recursive if each.name == contract.SET)
    return [object_ for collection in found for object_ in collection.all_objects]


def drawn(scene: bpy.types.Scene) -> list[Object]:
    """The meshes of the set that are in renders."""
    return [object_ for object_ in members(scene) if object_.type == "MESH" and is_in_renders(object_)]


def is_gobo(object_: Object) -> bool:
    """Whether an object of the set is hidden from the camera: it is there for its shadow."""
    return not object_.visible_camera


def place(objects: Iterable[Object], footprint_radius: float) -> None:
    """Scale the objects that follow the subject's footprint, given by its radius in scene units, and cull backs.

    Faces whose material has Backface Culling are not drawn from behind, in both engines, as those of models.
    """
    radius = max(footprint_radius, contract.MIN_FOOTPRINT_RADIUS)
    for object_ in objects:
        if contract.FOOTPRINT.name in object_:
            object_.matrix_world = Matrix.Scale(radius * object_[contract.FOOTPRINT.name], 4) @ object_.matrix_world
    for material in materials(objects):
        if material.use_backface_culling and material.node_tree:
            cull_backs(material, opaque=is_opaque(material))


@contextmanager
def hidden(objects: Iterable[Object]) -> Iterator[None]:
    """Inside the block, the objects are not in renders, nor are their shadows."""
    hidden_objects = list(objects)
    for object_ in hidden_objects:
        object_.hide_render = True
    try:
        yield
    finally:
        for object_ in hidden_objects:
            object_.hide_render = False
