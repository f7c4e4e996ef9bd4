"""Which nodes of a glTF file are drawn: those of its default scene that are visible."""

from typing import Any

VISIBILITY = "KHR_node_visibility"


def hide_others(data: Any) -> None:
    """Remove the meshes of all nodes that are not drawn from the glTF importer's document.

    Nodes are drawn in one scene, as in viewers: `scene`, by default the first; all nodes of a file without scenes. A
    node that KHR_node_visibility hides is not drawn, nor are its descendants. The nodes themselves stay, since they
    may be joints or animated.
    """
    nodes = data.nodes or []
    if data.scenes:
        data.scene = data.scene or 0
        roots = data.scenes[data.scene].nodes or []
    else:
        children = {child for node in nodes for child in node.children or []}
        roots = [number for number in range(len(nodes)) if number not in children]
    drawn: set[int] = set()
    remaining = list(roots)
    while remaining:
        number = remaining.pop()
        extension = (nodes[number].extensions or {}).get(VISIBILITY, {})
        if number not in drawn and extension.get("visible", True):
            drawn.add(number)
            remaining += nodes[number].children or []
    for number, node in enumerate(nodes):
        if number not in drawn:
            node.mesh = None
