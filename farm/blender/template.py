"""Open a template, or refuse it when it violates its contract. Nothing in it runs or loads other files."""

from pathlib import Path

import bpy

from farm.blender.importing import Object
from farm.blender.unsafe import unsafe_content
from farm.blender.unseen import unseen_content
from farm.blender.violations import find_violations
from farm.errors import BadTemplate
from farm.templates import contract
from farm.templates.blend_file import linked_libraries
from farm.templates.contract import Violation


def open_template(path: Path) -> dict[str, Object]:
    """Open a template afresh: the contract's objects by name. Raises BadTemplate."""
    violations = examine(path)
    if violations:
        more = f" ({len(violations) - 1} more: farm templates check lists all)" if len(violations) > 1 else ""
        raise BadTemplate(f"The template {path.name} is refused. {violations[0]}{more}")
    return {part.name: bpy.data.objects[part.name] for part in contract.PARTS}


def examine(path: Path) -> list[Violation]:
    """Open a .blend and list its violations of the contract. Raises BadTemplate when it cannot be opened.

    A file with linked libraries is not opened, because opening it would load them. `use_scripts=False` keeps Blender
    from running scripts and drivers with code.
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
    scene = bpy.context.scene
    return [*unsafe_content(), *find_violations(scene), *unseen_content(scene)]


def _linked(library: str) -> Violation:
    return Violation(
        library,
        "data is linked from this file",
        "Object > Relations > Make Local > All, then File > Clean Up > Purge Unused Data",
    )
