"""Single-sided materials: the camera does not see the backs of their faces, as glTF defines it; light does.

EEVEE has a setting for this. In Cycles a material gets an output of its own, in which backs are transparent to camera
rays. These nodes carry a label, by which other modules leave them out of what a material's own nodes say about it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import bpy

LABEL = "Added by Plinth"  # of nodes that are not the model's own

PASSAGE = "Passage"  # name of the node by which light passes a shell or an unlit surface, except in the shadow's bake


def is_added(node: bpy.types.Node) -> bool:
    """Whether the node is not part of the imported material."""
    return bool(node.label == LABEL)


def add(tree: bpy.types.NodeTree, kind: str) -> bpy.types.Node:
    """A new node, labelled as not part of the imported material."""
    node = tree.nodes.new(kind)
    node.label = LABEL
    return node


def cull_backs(material: bpy.types.Material, *, opaque: bool, shell: bool = False) -> None:
    """Make the backs of a single-sided material's faces invisible to the camera.

    `shell`: light passes through it. An outline is drawn by an inverted hull around a product, whose near side the
    camera does not see; without this the product would lie in the hull's shadow.
    """
    tree = material.node_tree
    [output, *_] = [node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial"]
    if not output.inputs["Surface"].is_linked:
        return
    cycles = add(tree, "ShaderNodeOutputMaterial")
    output.target, cycles.target = "EEVEE", "CYCLES"
    for source, target in zip(output.inputs, cycles.inputs, strict=True):
        if source.is_linked:
            tree.links.new(source.links[0].from_socket, target)
    rays = add(tree, "ShaderNodeLightPath").outputs["Is Camera Ray"]
    backs = add(tree, "ShaderNodeNewGeometry").outputs["Backfacing"]
    hidden = add(tree, "ShaderNodeMix")  # backs for camera rays, for others nothing, or all of a shell
    tree.links.new(rays, hidden.inputs[0])
    hidden.inputs[2].default_value = 1.0 if shell else 0.0
    if shell:
        hidden.name = PASSAGE
    tree.links.new(backs, hidden.inputs[3])
    clear, mix = add(tree, "ShaderNodeBsdfTransparent"), add(tree, "ShaderNodeMixShader")
    tree.links.new(hidden.outputs[0], mix.inputs[0])
    tree.links.new(cycles.inputs["Surface"].links[0].from_socket, mix.inputs[1])
    tree.links.new(clear.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], cycles.inputs["Surface"])
    material.use_backface_culling_shadow = shell
    if opaque and not shell:  # no shadow ray passes: Cycles need not evaluate the material for them
        material.use_transparent_shadow = False


def separate_passage(material: bpy.types.Material) -> None:
    """Give an unlit material, which light passes, a passage that can be closed without changing its alpha."""
    tree = material.node_tree
    # A new link may free others, and Blender crashes on a reference to one: collect their nodes first.
    mixes = [link.to_node for link in tree.links if link.from_socket.name == "Is Camera Ray"]
    for mix in mixes:
        passage = add(tree, "ShaderNodeBsdfTransparent")
        passage.name = PASSAGE
        tree.links.new(passage.outputs[0], mix.inputs[1])


@contextmanager
def closed_passages(materials: Iterable[bpy.types.Material]) -> Iterator[None]:
    """Inside the block, no light passes shells and unlit materials."""
    nodes = [
        node
        for material in materials
        if material.node_tree
        for node in material.node_tree.nodes
        if is_added(node) and node.name.startswith(PASSAGE)
    ]
    _set_passages(nodes, 0.0)
    try:
        yield
    finally:
        _set_passages(nodes, 1.0)


def _set_passages(nodes: list[bpy.types.Node], value: float) -> None:
    for node in nodes:
        if node.bl_idname == "ShaderNodeMix":
            node.inputs[2].default_value = value
        else:
            node.inputs["Color"].default_value = (value, value, value, 1.0)
