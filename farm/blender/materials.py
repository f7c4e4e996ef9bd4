"""Adjust imported glTF materials: sidedness, normals and ambient occlusion, which the importer does not apply."""

from collections.abc import Callable, Iterable

import bpy

from farm.blender.culling import cull_backs, is_added, separate_passage
from farm.blender.winding import face_normals_forwards, part_coincident_faces, shells

AMBIENT_SHARE = 0.5  # of a studio's light is indirect, the only light that occlusion darkens


def finish(objects: Iterable[bpy.types.Object]) -> None:
    """Make the imported objects look the same in both engines and as the glTF file defines them."""
    surfaces = [object_ for object_ in objects if object_.type == "MESH"]
    meshes = {object_.data for object_ in surfaces}
    for mesh in meshes:
        face_normals_forwards(mesh)
    used = materials(surfaces)
    for material in used:
        darken_by_occlusion(material)
        if is_unlit(material):
            separate_passage(material)
    single_sided = {material for material in used if material.use_backface_culling}
    if single_sided:
        inverted = shells(meshes)
        for material in single_sided:
            cull_backs(material, opaque=is_opaque(material), shell=material in inverted)
        part_coincident_faces([each for each in surfaces if single_sided.intersection(each.data.materials)])


def materials(objects: Iterable[bpy.types.Object]) -> set[bpy.types.Material]:
    """All materials of the objects."""
    return {slot.material for object_ in objects for slot in object_.material_slots if slot.material}


def is_opaque(material: bpy.types.Material) -> bool:
    """Whether what is seen of the material is opaque: no transparent shader, and no alpha but a constant 1."""
    if material.node_tree is None:
        return True
    nodes = [node for node in material.node_tree.nodes if not is_added(node)]
    if any(node.bl_idname == "ShaderNodeBsdfTransparent" for node in nodes):
        return False
    alphas = [node.inputs["Alpha"] for node in nodes if node.bl_idname == "ShaderNodeBsdfPrincipled"]
    return all(not alpha.is_linked and alpha.default_value == 1.0 for alpha in alphas)


def is_unlit(material: bpy.types.Material) -> bool:
    """Whether it is one of KHR_materials_unlit, the only ones that Blender's importer gives an emission shader."""
    return material.node_tree is not None and any(
        node.bl_idname == "ShaderNodeEmission" and not is_added(node) for node in material.node_tree.nodes
    )


def darken_by_occlusion(material: bpy.types.Material) -> None:
    """Darken the base colour by the glTF's occlusion texture, which the importer keeps for export only.

    In glTF 2.0 (section 3.9.3) occlusion affects indirect light only. No shader node can separate the two, so the base
    colour is multiplied by the occlusion mixed with white, AMBIENT_SHARE being the occlusion's part.
    """
    tree = material.node_tree
    if tree is None:
        return
    occlusion = _occlusion(tree)
    shader = next((node for node in tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled"), None)
    if occlusion is None or shader is None:
        return
    colour = shader.inputs["Base Color"]
    softened = tree.nodes.new("ShaderNodeMapRange")
    softened.inputs["To Min"].default_value = 1 - AMBIENT_SHARE
    tree.links.new(occlusion, softened.inputs["Value"])
    product = tree.nodes.new("ShaderNodeMix")
    product.data_type, product.blend_type = "RGBA", "MULTIPLY"
    product.inputs["Factor"].default_value = 1.0
    before, factor = product.inputs[6], product.inputs[7]  # A and B of the colours; floats and vectors come first
    if colour.is_linked:
        tree.links.new(colour.links[0].from_socket, before)
    else:
        before.default_value = colour.default_value
    tree.links.new(softened.outputs["Result"], factor)
    tree.links.new(product.outputs[2], colour)


def _occlusion(tree: bpy.types.NodeTree) -> bpy.types.NodeSocket | None:
    """The socket that the occlusion texture feeds from, if the material has one."""
    for link in tree.links:
        group = getattr(link.to_node, "node_tree", None)
        if group and group.name.startswith("glTF Material Output") and link.to_socket.name == "Occlusion":
            return link.from_socket
    return None


def is_invisible(material: bpy.types.Material) -> bool:
    """Whether all of its surface is fully transparent: a collision box, a hotspot."""
    if material.node_tree is None:
        return False
    shaders = [node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled"]
    return bool(shaders) and all(constant(shader.inputs["Alpha"]) == 0 for shader in shaders)


def constant(socket: bpy.types.NodeSocket) -> float | None:
    """The value of a socket that depends on no texture, attribute or ray; None for any other."""
    if not socket.is_linked:
        return float(socket.default_value)
    node = socket.links[0].from_node
    if node.bl_idname == "ShaderNodeValue":
        return float(node.outputs[0].default_value)
    if node.bl_idname != "ShaderNodeMath" or node.operation not in OPERATIONS:
        return None
    first, second = (constant(each) for each in node.inputs[:2])
    return None if first is None or second is None else OPERATIONS[node.operation](first, second)


# The operations of Blender's glTF importer on alpha: a cut-off compares, and subtracts the result from 1.
OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "ADD": lambda a, b: a + b,
    "SUBTRACT": lambda a, b: a - b,
    "MULTIPLY": lambda a, b: a * b,
    "LESS_THAN": lambda a, b: float(a < b),
    "GREATER_THAN": lambda a, b: float(a > b),
}
