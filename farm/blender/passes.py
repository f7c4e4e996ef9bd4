"""The G-buffer: depth, normal and alpha at every pixel's centre, always drawn by Cycles.

One sample per pixel, with a pixel filter so narrow that the sample lies at the centre. The file's channels are
`Depth.Z` (planar, in scene units), `Normal.X`, `.Y`, `.Z` (shading normals in world space, facing the camera) and
`Combined.A` (1 where there is a surface, else 0).
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import bpy

from farm.blender.culling import is_added
from farm.blender.film import PASSES_FILE, temporary_settings
from farm.blender.materials import is_opaque, materials
from farm.blender.stage import Stage

OPACITY_THRESHOLD = 0.5  # see-through surfaces of at least this opacity count as opaque, others are ignored
FILTER_WIDTH_PIXELS = 0.01  # the narrowest that Cycles has (a box filter of any width covers the whole pixel)


@dataclass(frozen=True)
class Passes:
    """How to draw the G-buffer of one subject: `switches` set see-through materials to soft (0) or hard (1) opacity."""

    switches: list[bpy.types.NodeSocket]

    @classmethod
    def of(cls, stage: Stage) -> "Passes":
        """For the subject on the stage. Enables the passes, which pictures then record, too."""
        layer = bpy.context.view_layer
        layer.use_pass_z = layer.use_pass_normal = True
        bpy.context.scene.render.use_persistent_data = True  # ignored by EEVEE, used by the G-buffer after each picture
        return cls(
            [
                switch
                for material in materials(stage.subject)
                if not is_opaque(material)
                for switch in _add_switches(material.node_tree)
            ]
        )

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Inside the block, renders write the G-buffer."""
        scene = bpy.context.scene
        render, cycles, image = scene.render, scene.cycles, scene.render.image_settings
        overrides: list[tuple[Any, dict[str, Any]]] = [
            (render, {"engine": "CYCLES"}),
            (cycles, {"device": "CPU", "seed": 0, "samples": 1, "use_adaptive_sampling": False}),
            (cycles, {"max_bounces": 0}),
            (cycles, {"pixel_filter_type": "BLACKMAN_HARRIS", "filter_width": FILTER_WIDTH_PIXELS}),
            (image, PASSES_FILE),
            *((switch, {"default_value": 1.0}) for switch in self.switches),
        ]
        with ExitStack() as restored:
            for owner, settings in overrides:
                restored.enter_context(temporary_settings(owner, settings))
            yield


def _add_switches(tree: bpy.types.NodeTree) -> Iterator[bpy.types.NodeSocket]:
    """Insert a switch before every opacity input: at 0 the opacity is unchanged, at 1 it is either 1 or 0."""
    for opacity in list(_opacities(tree)):
        threshold, mix = tree.nodes.new("ShaderNodeMath"), tree.nodes.new("ShaderNodeMix")
        threshold.operation, threshold.inputs[1].default_value = "GREATER_THAN", OPACITY_THRESHOLD - 1e-6
        switch, soft, hard = mix.inputs[0], mix.inputs[2], mix.inputs[3]
        switch.default_value = 0.0
        if opacity.is_linked:
            source = opacity.links[0].from_socket
            tree.links.new(source, soft)
            tree.links.new(source, threshold.inputs[0])
        else:
            soft.default_value = threshold.inputs[0].default_value = opacity.default_value
        tree.links.new(threshold.outputs[0], hard)
        tree.links.new(mix.outputs[0], opacity)
        yield switch


def _opacities(tree: bpy.types.NodeTree) -> Iterator[bpy.types.NodeSocket]:
    """The shader inputs that control a material's opacity."""
    for node in tree.nodes:
        if is_added(node):
            continue
        if node.bl_idname == "ShaderNodeBsdfPrincipled":
            yield node.inputs["Alpha"]
        elif node.bl_idname == "ShaderNodeMixShader" and any(map(_is_transparent, node.inputs[1:])):
            factor = node.inputs[0]
            # An unlit material mixes by the kind of ray instead; that is no opacity.
            if not (factor.is_linked and factor.links[0].from_node.bl_idname == "ShaderNodeLightPath"):
                yield factor


def _is_transparent(shader: bpy.types.NodeSocket) -> bool:
    return bool(shader.is_linked and shader.links[0].from_node.bl_idname == "ShaderNodeBsdfTransparent")
