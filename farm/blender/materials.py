"""What the glTF importer leaves to do with its materials."""

import bpy

AMBIENT = 0.5  # about half of a studio's light comes from all around, and occlusion shades that half alone


def finish(material: bpy.types.Material) -> None:
    """Make an imported material look the same in both engines, and as its file says."""
    # Cycles draws every side of a surface, EEVEE only what this allows; nothing of a product may vanish as it turns.
    material.use_backface_culling = False
    darken_by_occlusion(material)


def darken_by_occlusion(material: bpy.types.Material) -> None:
    """Let a glTF's occlusion texture darken the base colour; the importer keeps it for exports and draws nothing of it.

    glTF 2.0 (section 3.9.3) has occlusion shade indirect light and no direct light. No node can tell the two apart, so
    the base colour is multiplied by the occlusion mixed with white, by the share that indirect light has.
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
    softened.inputs["To Min"].default_value = 1 - AMBIENT
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
    """Where the occlusion comes from, if the material has any."""
    for link in tree.links:
        group = getattr(link.to_node, "node_tree", None)
        if group and group.name.startswith("glTF Material Output") and link.to_socket.name == "Occlusion":
            return link.from_socket
    return None
