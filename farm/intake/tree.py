"""The nodes are trees: no node under two parents, none above itself."""

from typing import Any

from farm.intake.fields import find, parts, wrong


def check_nodes(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: a node has two parents (Blender would build what is under it twice) or a cycle."""
    nodes = list(parts(document, "nodes[]"))
    parent: dict[int, int] = {}
    for number, (place, node) in enumerate(nodes):
        for inside, child in find(node, "children[]"):
            if child in parent:
                raise wrong(f"{place}.{inside}", f"is node {child}, which is a child of node {parent[child]} already")
            parent[child] = number
    cleared: set[int] = set()
    for number in range(len(nodes)):
        climbed: set[int] = set()
        here: int | None = number
        while here is not None and here not in cleared:
            if here in climbed:
                raise wrong(f"nodes[{here}]", "is its own ancestor: export the model again")
            climbed.add(here)
            here = parent.get(here)
        cleared |= climbed
