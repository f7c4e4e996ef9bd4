"""Opening a template, which is refused when it breaks a promise of its contract: nothing in it runs or loads others."""

from pathlib import Path

import bpy

from farm.blender.importing import Object
from farm.blender.promises import broken_promises
from farm.blender.unsafe import unsafe_content
from farm.errors import BadTemplate
from farm.templates import contract
from farm.templates.blend_file import linked_libraries
from farm.templates.contract import BrokenPromise


def open_template(path: Path) -> dict[str, Object]:
    """Open a template afresh: the contract's objects by name. Raises BadTemplate."""
    broken = examine(path)
    if broken:
        more = f" ({len(broken) - 1} more: farm templates check tells all)" if len(broken) > 1 else ""
        raise BadTemplate(f"The template {path.name} is refused. {broken[0]}{more}")
    return {part.name: bpy.data.objects[part.name] for part in contract.PARTS}


def examine(path: Path) -> list[BrokenPromise]:
    """Open a .blend and list what is wrong with it. Raises BadTemplate when it cannot be opened.

    One that links to other files is not even opened, for that would load them. Blender itself keeps scripts and drivers
    with code from running, by use_scripts=False.
    """
    try:
        if libraries := linked_libraries(path):
            return [_linked(library) for library in libraries]
        bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
    except OSError as error:
        raise BadTemplate(f"{path.name} cannot be read: {error.strerror}") from error
    except RuntimeError as error:
        raise BadTemplate(f"Blender cannot open {path.name}: {error}") from error
    bpy.context.view_layer.update()
    return [*unsafe_content(), *broken_promises(bpy.context.scene)]


def _linked(library: str) -> BrokenPromise:
    return BrokenPromise(
        library, "data is linked from this file", "Object > Relations > Make Local > All, then File > Clean Up > Purge"
    )
