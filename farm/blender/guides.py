"""Pictures of Cycles without noise: few samples, denoised with guides that are drawn apart.

The guides are the albedo, normal and alpha of what the camera sees first. All pixels share their sub-pixel samples, as
in a rasteriser, so the guides have no noise, and their alpha is a clean silhouette. No light is needed: each lit shader
has a switch, at 1 of which it glows in its base colour.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from farm.blender import pixels
from farm.blender.culling import add
from farm.blender.denoise import FAST, HIGH, denoise
from farm.blender.film import Box, Plane, render_passes, stacked, temporary_settings, to_display
from farm.blender.importing import Object
from farm.blender.materials import materials
from farm.blender.stage import Stage
from farm.scene.camera import View

MIN_SAMPLES, DRAFT_SAMPLES = 16, 8
# All pixels share their samples, so an off-centre mean of the samples shifts the whole silhouette. Best of 48 seeds:
# 0.006 pixels from the pixel's centre; with Cycles' default seed 0 it is 0.075 pixels.
CENTRED_SEED = 31
MATTE_GREY = (0.8, 0.8, 0.8, 1.0)  # what Cycles shows of a surface without a material


def shared_samples(picture_samples: int, *, draft: bool) -> dict[str, Any]:
    """Cycles' settings for guides and clean edges, in which all pixels share their sub-pixel samples.

    They are at least as fine as the picture, which has `picture_samples`.
    """
    return {
        "samples": max(DRAFT_SAMPLES if draft else MIN_SAMPLES, picture_samples),
        "seed": CENTRED_SEED,
        "max_bounces": 0,
        "scrambling_distance": 0.0,
        "film_exposure": 1.0,
    }


@dataclass(frozen=True)
class Guides:
    """How to draw the guides: `switches` make the lit shaders glow at 1. Those of a `draft` are coarser."""

    switches: list[bpy.types.NodeSocket]
    draft: bool

    @classmethod
    def of(cls, stage: Stage, *, draft: bool = False) -> "Guides":
        """For the subject and the set on the stage. Enables the normal pass, which pictures then record, too."""
        bpy.context.view_layer.use_pass_normal = True
        _give_nodes(stage.drawn)
        used = sorted(materials(stage.drawn), key=lambda material: material.name)
        trees = dict.fromkeys(tree for material in used for tree in _trees(material.node_tree))
        return cls([switch for tree in trees for switch in _add_switches(tree)], draft)

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Inside the block, renders show the guides: the albedo as their colours, the normal pass, and the alpha."""
        cycles = bpy.context.scene.cycles
        overrides: list[tuple[Any, dict[str, Any]]] = [
            (cycles, shared_samples(cycles.samples, draft=self.draft)),
            *((switch, {"default_value": 1.0}) for switch in self.switches),
        ]
        with ExitStack() as restored:
            for owner, settings in overrides:
                restored.enter_context(temporary_settings(owner, settings))
            yield


def render_denoised(
    stage: Stage, guides: Guides, view: View, box: Box, folder: Path
) -> tuple[pixels.Pixels, dict[str, Plane]]:
    """Render the part of the frame in `box`: (height, width, 4), RGBA, straight alpha, which is the guides'.

    Also returns the passes of the guides, as farm.blender.film.render_passes does.
    """
    noisy = render_passes(stage, view, box, folder)
    with guides.drawn():
        passes = render_passes(stage, view, box, folder)
    albedo = np.minimum(stacked(passes, "Combined", "RGB"), 1)
    normals, quality = stacked(passes, "Normal", "XYZ"), FAST if guides.draft else HIGH
    colours = denoise(stacked(noisy, "Combined", "RGB"), albedo, normals, quality)
    picture = to_display(colours, passes["Combined.A"], folder)
    full = np.iinfo(picture.dtype).max
    pixels.settle_edges(picture, painted=np.rint(np.clip(noisy["Combined.A"], 0, 1) * full))
    return picture, passes


def _give_nodes(objects: Iterable[Object]) -> None:
    """Give each surface a material with nodes, which looks as it did without."""
    grey: bpy.types.Material | None = None
    for object_ in objects:
        if object_.type != "MESH":
            continue
        if not object_.material_slots:
            object_.data.materials.append(None)
        for slot in object_.material_slots:
            if slot.material is None:
                grey = grey or bpy.data.materials.new("Matte grey")
                slot.material = grey
            if not (slot.material.use_nodes and slot.material.node_tree):
                _make_matte(slot.material, MATTE_GREY if slot.material == grey else slot.material.diffuse_color)


def _make_matte(material: bpy.types.Material, colour: Iterable[float]) -> None:
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    matte, out = tree.nodes.new("ShaderNodeBsdfDiffuse"), tree.nodes.new("ShaderNodeOutputMaterial")
    matte.inputs["Color"].default_value = tuple(colour)
    tree.links.new(matte.outputs[0], out.inputs["Surface"])


def _trees(tree: bpy.types.NodeTree) -> Iterator[bpy.types.NodeTree]:
    """The tree and those of its groups; Blender lets no group hold itself."""
    yield tree
    for node in tree.nodes:
        if node.bl_idname == "ShaderNodeGroup" and node.node_tree:
            yield from _trees(node.node_tree)


def _add_switches(tree: bpy.types.NodeTree) -> Iterator[bpy.types.NodeSocket]:
    """Insert a switch after every lit shader: at 1 it glows in its base colour, as opaque as the shader is."""
    for shader in list(tree.nodes):
        colour = _base_colour(shader)
        if colour is None:
            continue
        targets = [link.to_socket for link in shader.outputs[0].links]
        glow = _glow(tree, shader, colour)
        switch = add(tree, "ShaderNodeMixShader")
        switch.inputs[0].default_value = 0.0
        tree.links.new(shader.outputs[0], switch.inputs[1])
        tree.links.new(glow, switch.inputs[2])
        for target in targets:
            tree.links.new(switch.outputs[0], target)
        yield switch.inputs[0]


def _base_colour(node: bpy.types.Node) -> bpy.types.NodeSocket | None:
    """The colour input of a shader that light makes visible; None for any other node."""
    is_lit = node.bl_idname.startswith("ShaderNodeBsdf") or node.bl_idname == "ShaderNodeSubsurfaceScattering"
    if not is_lit or node.bl_idname == "ShaderNodeBsdfTransparent":
        return None
    return next((each for each in node.inputs if each.name in ("Base Color", "Color")), None)


def _glow(tree: bpy.types.NodeTree, shader: bpy.types.Node, colour: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """What replaces a lit shader in the guides: its base colour and its own light, before what is behind it."""
    glow = _emission(tree, colour)
    inputs = {each.name: each for each in shader.inputs}
    strength, alpha = inputs.get("Emission Strength"), inputs.get("Alpha")
    if strength is not None and (strength.is_linked or strength.default_value > 0):
        both = add(tree, "ShaderNodeAddShader")
        own = _emission(tree, inputs["Emission Color"])
        _follow(tree, strength, own.node.inputs["Strength"])
        tree.links.new(glow, both.inputs[0])
        tree.links.new(own, both.inputs[1])
        glow = both.outputs[0]
    if alpha is not None and (alpha.is_linked or alpha.default_value < 1):
        mix = add(tree, "ShaderNodeMixShader")
        _follow(tree, alpha, mix.inputs[0])
        tree.links.new(add(tree, "ShaderNodeBsdfTransparent").outputs[0], mix.inputs[1])
        tree.links.new(glow, mix.inputs[2])
        glow = mix.outputs[0]
    return glow


def _emission(tree: bpy.types.NodeTree, colour: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    node = add(tree, "ShaderNodeEmission")
    _follow(tree, colour, node.inputs["Color"])
    return node.outputs[0]


def _follow(tree: bpy.types.NodeTree, source: bpy.types.NodeSocket, target: bpy.types.NodeSocket) -> None:
    """Give an input the value, or the link, of another input."""
    if source.is_linked:
        tree.links.new(source.links[0].from_socket, target)
    else:
        target.default_value = source.default_value
