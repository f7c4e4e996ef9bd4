"""The G-buffer: what every pixel's very centre shows, as depth, normal and alpha, always drawn by Cycles.

One sample a pixel, and a pixel filter so narrow that the sample lies at the centre. The file's channels are `Depth.Z`
(planar, in scene units), `Normal.X`, `.Y`, `.Z` (of the shading, in world space, turned to the camera) and
`Combined.A` (1 where there is a surface, else 0).
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import bpy

from farm.blender.film import changed
from farm.blender.silhouettes import is_opaque
from farm.blender.stage import Stage

SOLID = 0.5  # a see-through surface of at least this opacity is there as a whole, one of less is not there at all
CENTRE = 0.01  # pixels; the narrowest filter that Cycles has (a box filter, whatever its width, covers the whole pixel)


@dataclass(frozen=True)
class Passes:
    """How to draw the G-buffer of one subject: `cuts` switches the see-through materials between soft and hard."""

    cuts: list[bpy.types.NodeSocket]

    @classmethod
    def of(cls, stage: Stage) -> "Passes":
        """For the subject on the stage. The passes are recorded from now on, by pictures too."""
        layer = bpy.context.view_layer
        layer.use_pass_z = layer.use_pass_normal = True
        bpy.context.scene.render.use_persistent_data = True  # EEVEE knows nothing of it, but Cycles comes after each
        materials = {slot.material for thing in stage.subject for slot in thing.material_slots if slot.material}
        return cls([cut for material in materials if not is_opaque(material) for cut in _cuts(material.node_tree)])

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """While it lasts, exposures write the G-buffer."""
        scene = bpy.context.scene
        render, cycles, image = scene.render, scene.cycles, scene.render.image_settings
        settings_of: list[tuple[Any, dict[str, Any]]] = [
            (render, {"engine": "CYCLES"}),
            (cycles, {"device": "CPU", "seed": 0, "samples": 1, "use_adaptive_sampling": False}),
            (cycles, {"use_denoising": False, "max_bounces": 0}),
            (cycles, {"pixel_filter_type": "BLACKMAN_HARRIS", "filter_width": CENTRE}),
            (image, {"file_format": "OPEN_EXR_MULTILAYER", "color_depth": "32", "exr_codec": "NONE"}),
            *((cut, {"default_value": 1.0}) for cut in self.cuts),
        ]
        with ExitStack() as restored:
            for owner, settings in settings_of:
                restored.enter_context(changed(owner, settings))
            yield


def _cuts(tree: bpy.types.NodeTree) -> Iterator[bpy.types.NodeSocket]:
    """Put a switch before every opacity of a material: at 0 it is as it was, at 1 it is either whole or nothing."""
    for opacity in list(_opacities(tree)):
        cut, chosen = tree.nodes.new("ShaderNodeMath"), tree.nodes.new("ShaderNodeMix")
        cut.operation, cut.inputs[1].default_value = "GREATER_THAN", SOLID - 1e-6
        switch, soft, hard = chosen.inputs[0], chosen.inputs[2], chosen.inputs[3]
        switch.default_value = 0.0
        if opacity.is_linked:
            source = opacity.links[0].from_socket
            tree.links.new(source, soft)
            tree.links.new(source, cut.inputs[0])
        else:
            soft.default_value = cut.inputs[0].default_value = opacity.default_value
        tree.links.new(cut.outputs[0], hard)
        tree.links.new(chosen.outputs[0], opacity)
        yield switch


def _opacities(tree: bpy.types.NodeTree) -> Iterator[bpy.types.NodeSocket]:
    """The inputs by which a material lets through what is behind it."""
    for node in tree.nodes:
        if node.bl_idname == "ShaderNodeBsdfPrincipled":
            yield node.inputs["Alpha"]
        elif node.bl_idname == "ShaderNodeMixShader" and any(map(_is_transparent, node.inputs[1:])):
            factor = node.inputs[0]
            # An unlit material mixes by the kind of ray instead; that is no opacity.
            if not (factor.is_linked and factor.links[0].from_node.bl_idname == "ShaderNodeLightPath"):
                yield factor


def _is_transparent(shader: bpy.types.NodeSocket) -> bool:
    return bool(shader.is_linked and shader.links[0].from_node.bl_idname == "ShaderNodeBsdfTransparent")
