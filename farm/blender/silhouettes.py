"""Clean silhouettes for Cycles, which denoises colours but not alpha: few random samples leave a flickering edge.

The subject is drawn a second time without lighting, with the same sub-pixel samples in all pixels, as a rasteriser
does. This takes a quarter of the picture's own time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bpy

from farm.blender.culling import cull_backs, mark_single_sided
from farm.blender.film import temporary_settings
from farm.blender.materials import is_opaque, materials
from farm.blender.stage import Stage

SAMPLES = 8
# All pixels share their samples, so an off-centre mean of the samples shifts the whole silhouette. Best of 24 seeds:
# 0.02 pixels from the pixel's centre; with Cycles' default seed 0 it is 0.12 pixels.
CENTRED_SEED = 1
SINGLE_SIDED = "single_sided"  # name of the meshes' attribute


@dataclass(frozen=True)
class Silhouette:
    """How to draw one: the material override for all surfaces; None if some are see-through and keep their own."""

    paint: bpy.types.Material | None

    @classmethod
    def of(cls, stage: Stage) -> "Silhouette":
        """For the subject and the set on the stage."""
        used = materials(stage.drawn)
        if not all(map(is_opaque, used)):
            return cls(None)
        paint = _paint()
        sides = {material.use_backface_culling for material in used}
        if not all(object_.data.materials for object_ in stage.set):
            sides.add(False)
        if sides == {True}:
            cull_backs(paint, opaque=True)
        elif True in sides:
            mark_single_sided({object_.data for object_ in stage.drawn if object_.type == "MESH"}, SINGLE_SIDED)
            cull_backs(paint, opaque=True, attribute=SINGLE_SIDED)
        return cls(paint)

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
