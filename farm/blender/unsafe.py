"""What in an opened .blend would run code or read other files: none of it has a place in a template."""

from collections.abc import Iterator

import bpy

from farm.templates.contract import BrokenPromise


def unsafe_content() -> Iterator[BrokenPromise]:
    """All of it, in the file that is open."""
    yield from _scripts()
    for owner, block in _blocks():
        yield from _drivers(owner, block)
        yield from _script_nodes(owner, block)
    yield from _outside_files()


def _scripts() -> Iterator[BrokenPromise]:
    for text in bpy.data.texts:
        if text.use_module:
            yield BrokenPromise(
                text.name,
                "this text is registered to run when the file is opened",
                "In the text editor untick Text > Register, or delete the text",
            )
    for scene in bpy.data.scenes:
        for layer in scene.view_layers:
            freestyle = layer.freestyle_settings
            if freestyle.mode == "SCRIPT" and any(module.script for module in freestyle.modules):
                yield BrokenPromise(
                    layer.name,
                    "Freestyle would run Python scripts",
                    "View Layer Properties > Freestyle > Control Mode: Parameter Editor",
                )


def _blocks() -> Iterator[tuple[str, bpy.types.ID]]:
    """Every data-block of the file, node trees within others included, with the name that an artist knows it by."""
    for kind in bpy.data.bl_rna.properties:
        if kind.type != "COLLECTION":
            continue
        for block in getattr(bpy.data, kind.identifier):
            yield block.name, block
            if isinstance(getattr(block, "node_tree", None), bpy.types.NodeTree):
                yield block.name, block.node_tree


def _drivers(owner: str, block: bpy.types.ID) -> Iterator[BrokenPromise]:
    for curve in block.animation_data.drivers if getattr(block, "animation_data", None) else ():
        if curve.driver.type == "SCRIPTED" and not curve.driver.is_simple_expression:
            yield BrokenPromise(
                owner,
                f"the driver of {curve.data_path} is code: {curve.driver.expression}",
                "Give it a simple expression (numbers, variables, + - * /, sin, min ...), or delete the driver",
            )


def _script_nodes(owner: str, block: bpy.types.ID) -> Iterator[BrokenPromise]:
    for node in block.nodes if isinstance(block, bpy.types.NodeTree) else ():
        if node.bl_idname == "ShaderNodeScript":
            yield BrokenPromise(owner, f"the node {node.name} runs OSL code", "Delete the node")


def _outside_files() -> Iterator[BrokenPromise]:
    outside = set(bpy.utils.blend_paths(packed=True, local=True))
    for block, paths in bpy.data.file_path_map().items():
        for path in sorted(paths & outside):
            where = "beside the .blend" if path.startswith("//") else "an absolute path, of one machine only"
            yield BrokenPromise(
                block.name, f"it is read from {path} ({where})", "File > External Data > Pack Resources, then save"
            )
