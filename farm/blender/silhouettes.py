"""Clean silhouettes for Cycles, which denoises colours but not alpha: few random samples leave an edge that crawls.

The subject is drawn once more without any light, all pixels taking the same sub-pixel samples, as a rasteriser does.
That costs a quarter of the picture itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bpy

from farm.blender.film import changed
from farm.blender.stage import Stage

SAMPLES = 8
# All pixels share their samples, so the samples' own middle moves the whole silhouette. Of 24 seeds this one is best:
# its middle is 0.02 pixels from the pixel's centre; that of Cycles' usual 0 is 0.12 pixels off.
CENTRED_SEED = 1


@dataclass(frozen=True)
class Silhouette:
    """How to draw one: with what all surfaces are painted; None where some are see-through and stay as they are."""

    paint: bpy.types.Material | None

    @classmethod
    def of(cls, stage: Stage) -> "Silhouette":
        """For the subject on the stage."""
        materials = {slot.material for thing in stage.subject for slot in thing.material_slots if slot.material}
        return cls(_paint() if all(map(is_opaque, materials)) else None)

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """While it lasts, exposures hold the silhouette in their alpha, and nothing of meaning in their colours."""
        override = {"material_override": self.paint}
        with changed(bpy.context.scene.cycles, UNUSUAL), changed(bpy.context.view_layer, override):
            yield


UNUSUAL: dict[str, Any] = {
    "samples": SAMPLES,
    "seed": CENTRED_SEED,
    "use_denoising": False,
    "max_bounces": 0,
    "scrambling_distance": 0.0,
}


def _paint() -> bpy.types.Material:
    """Glows by itself, so that no light is asked for."""
    paint = bpy.data.materials.new("Silhouette")
    paint.use_nodes = True
    nodes = paint.node_tree.nodes
    nodes.clear()
    glow, out = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    paint.node_tree.links.new(glow.outputs["Emission"], out.inputs["Surface"])
    return paint


def is_opaque(material: bpy.types.Material) -> bool:
    """Whether nothing can be seen through it: anything but one opaque principled shader is taken for see-through."""
    if material.node_tree is None:
        return True
    kinds = {node.bl_idname for node in material.node_tree.nodes}
    if "ShaderNodeBsdfTransparent" in kinds:
        return False
    alphas = [node.inputs["Alpha"] for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled"]
    return all(not alpha.is_linked and alpha.default_value == 1.0 for alpha in alphas)
