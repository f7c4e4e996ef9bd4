"""Find content of the open .blend that would run code or read other files, which no template may have."""

from collections.abc import Iterator

import bpy

from farm.templates.contract import Violation


def unsafe_content() -> Iterator[Violation]:
    """All unsafe content of the open file, as violations."""
    yield from _scripts()
    for owner, block in _blocks():
        yield from _drivers(owner, block)
        yield from _script_nodes(owner, block)
    yield from _outside_files()


def _scripts() -> Iterator[Violation]:
    for text in bpy.data.texts:
        if text.use_module:
            yield Violation(
                text.name,
                "this text is registered to run when the file is opened",
                "In the text editor untick Text > Register, or delete the text",
            )
    for scene in bpy.data.scenes:
        for layer in scene.view_layers:
            freestyle = layer.freestyle_settings
            if freestyle.mode == "SCRIPT" and any(module.script for module in freestyle.modules):
                yield Violation(
                    layer.name,
                    "Freestyle would run Python scripts",
                    "View Layer Properties > Freestyle > Control Mode: Parameter Editor",
                )


def _blocks() -> Iterator[tuple[str, bpy.types.ID]]:
    """Every data-block of the file, node trees within others included, with the name shown in Blender's interface."""
    for kind in bpy.data.bl_rna.properties:
        if kind.type != "COLLECTION":
            continue
        for block in getattr(bpy.data, kind.identifier):
            yield block.name, block
            if isinstance(getattr(block, "node_tree", None), bpy.types.NodeTree):
                yield block.name, block.node_tree


def _drivers(owner: str, block: bpy.types.ID) -> Iterator[Violation]:
    for curve in block.animation_data.drivers if getattr(block, "animation_data", None) else ():
        if curve.driver.type == "SCRIPTED" and not curve.driver.is_simple_expression:
            yield Violation(
                owner,
                f"the driver of {curve.data_path} is code: {curve.driver.expression}",
                "Give it a simple expression (numbers, variables, + - * /, sin, min ...), or delete the driver",
            )


def _script_nodes(owner: str, block: bpy.types.ID) -> Iterator[Violation]:
    for node in block.nodes if isinstance(block, bpy.types.NodeTree) else ():
        if node.bl_idname == "ShaderNodeScript":
            yield Violation(owner, f"the node {node.name} runs OSL code", "Delete the node")


def _outside_files() -> Iterator[Violation]:
    outside = set(bpy.utils.blend_paths(packed=True, local=True))
    for block, paths in bpy.data.file_path_map().items():
        for path in sorted(paths & outside):
            where = "beside the .blend" if path.startswith("//") else "an absolute path, of one machine only"
            yield Violation(
                block.name, f"it is read from {path} ({where})", "File > External Data > Pack Resources, then save"
            )
