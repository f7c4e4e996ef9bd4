"""Clean silhouettes for Cycles, which denoises colours but not alpha: few random samples leave a flickering edge.

The subject is drawn a second time without lighting, with the same sub-pixel samples in all pixels, as a rasteriser
does. This takes a quarter of the picture's own time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bpy

from farm.blender.film import temporary_settings
from farm.blender.stage import Stage

SAMPLES = 8
# All pixels share their samples, so an off-centre mean of the samples shifts the whole silhouette. Best of 24 seeds:
# 0.02 pixels from the pixel's centre; with Cycles' default seed 0 it is 0.12 pixels.
CENTRED_SEED = 1


@dataclass(frozen=True)
class Silhouette:
    """How to draw one: the material override for all surfaces; None if some are see-through and keep their own."""

    paint: bpy.types.Material | None

    @classmethod
    def of(cls, stage: Stage) -> "Silhouette":
        """For the subject on the stage."""
        materials = {slot.material for object_ in stage.subject for slot in object_.material_slots if slot.material}
        return cls(_paint() if all(map(is_opaque, materials)) else None)

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Inside the block, the alpha of renders is the silhouette; their colours are meaningless."""
        override = {"material_override": self.paint}
        with (
            temporary_settings(bpy.context.scene.cycles, SILHOUETTE_SETTINGS),
            temporary_settings(bpy.context.view_layer, override),
        ):
            yield


SILHOUETTE_SETTINGS: dict[str, Any] = {
    "samples": SAMPLES,
    "seed": CENTRED_SEED,
    "use_denoising": False,
    "max_bounces": 0,
    "scrambling_distance": 0.0,
}


def _paint() -> bpy.types.Material:
    """An emissive material, which needs no light rays."""
    paint = bpy.data.materials.new("Silhouette")
    paint.use_nodes = True
    nodes = paint.node_tree.nodes
    nodes.clear()
    glow, out = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    paint.node_tree.links.new(glow.outputs["Emission"], out.inputs["Surface"])
    return paint


def is_opaque(material: bpy.types.Material) -> bool:
    """Whether the material is opaque: no transparent shader, and no alpha but a constant 1."""
    if material.node_tree is None:
        return True
    kinds = {node.bl_idname for node in material.node_tree.nodes}
    if "ShaderNodeBsdfTransparent" in kinds:
        return False
    alphas = [node.inputs["Alpha"] for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled"]
    return all(not alpha.is_linked and alpha.default_value == 1.0 for alpha in alphas)
