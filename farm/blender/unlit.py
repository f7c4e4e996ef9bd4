"""Unlit materials in their exact colours: a second exposure of a picture, past the template's view transform.

In it, lit surfaces are holdouts, so that its alpha is the share of each pixel that shows an unlit surface.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from farm.blender import pixels
from farm.blender.culling import add
from farm.blender.film import Box, render_image, temporary_settings
from farm.blender.guides import shared_samples
from farm.blender.materials import is_unlit, materials
from farm.blender.stage import Stage
from farm.scene.camera import View

# The view transform that maps a glTF colour to its own sRGB value.
PLAIN_VIEW: dict[str, Any] = {
    "view_transform": "Standard",
    "look": "None",
    "exposure": 0.0,
    "gamma": 1.0,
    "use_curve_mapping": False,
    "use_white_balance": False,
}


@dataclass(frozen=True)
class Unlit:
    """How to draw the second exposure: `switches` make the subject's lit materials holdouts at 1.

    That of a `draft` is as coarse as its guides, so that both have the same edges.
    """

    stage: Stage
    switches: list[bpy.types.NodeSocket]
    draft: bool

    @classmethod
    def of(cls, stage: Stage, *, draft: bool = False) -> "Unlit | None":
        """For the subject on the stage; None if all of it is lit."""
        used = materials(stage.subject)
        if not any(map(is_unlit, used)):
            return None
        lit = [material for material in used if material.node_tree and not is_unlit(material)]
        return cls(stage, [switch for material in lit for switch in _add_holdouts(material.node_tree)], draft)

    def expose(self, drawn: pixels.Pixels, view: View, box: Box, folder: Path) -> None:
        """Replace the colours of unlit surfaces in `drawn`, a picture of the part of the frame in `box`, in place."""
        with self._settings():
            exact = render_image(self.stage, view, box, folder).astype(np.float32)
        rows, columns = np.nonzero((exact[..., 3] > 0) & (drawn[..., 3] > 0))
        before, exact = drawn[rows, columns].astype(np.float32), exact[rows, columns]
        share = np.minimum(exact[:, 3:] / before[:, 3:], 1)
        drawn[rows, columns, :3] = np.rint(before[:, :3] * (1 - share) + exact[:, :3] * share)

    @contextmanager
    def _settings(self) -> Iterator[None]:
        scene = bpy.context.scene
        others = [each for each in scene.objects if each.type == "MESH" and each not in self.stage.subject]
        overrides: list[tuple[Any, dict[str, Any]]] = [
            (scene.display_settings, {"display_device": "sRGB"}),
            (scene.view_settings, PLAIN_VIEW),
            (scene.cycles, shared_samples(scene.cycles.samples, draft=self.draft)),
            *((switch, {"default_value": 1.0}) for switch in self.switches),
            *((other, {"is_holdout": True}) for other in others),
        ]
        with ExitStack() as restored:
            for owner, settings in overrides:
                restored.enter_context(temporary_settings(owner, settings))
            yield


def _add_holdouts(tree: bpy.types.NodeTree) -> Iterator[bpy.types.NodeSocket]:
    """Insert a switch after every lit shader: at 1 it cuts a hole as opaque as the shader is."""
    for shader in [node for node in tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled"]:
        targets = [link.to_socket for link in shader.outputs[0].links]
        hole, alpha = add(tree, "ShaderNodeHoldout").outputs[0], shader.inputs["Alpha"]
        if alpha.is_linked or alpha.default_value < 1:
            clear, opacity = add(tree, "ShaderNodeBsdfTransparent"), add(tree, "ShaderNodeMixShader")
            opacity.inputs[0].default_value = alpha.default_value
            if alpha.is_linked:
                tree.links.new(alpha.links[0].from_socket, opacity.inputs[0])
            tree.links.new(clear.outputs[0], opacity.inputs[1])
            tree.links.new(hole, opacity.inputs[2])
            hole = opacity.outputs[0]
        switch = add(tree, "ShaderNodeMixShader")
        switch.inputs[0].default_value = 0.0
        tree.links.new(shader.outputs[0], switch.inputs[1])
        tree.links.new(hole, switch.inputs[2])
        for target in targets:
            tree.links.new(switch.outputs[0], target)
        yield switch.inputs[0]
