"""What a work-horse inherits from its worker: settings, engine and the warm Blender host."""

from dataclasses import dataclass
from pathlib import Path

from farm.settings import Settings
from farm.shot import Engine
from farm.storage import open_storage
from farm.video.run import executable


@dataclass(frozen=True)
class Node:
    """One worker and its Blender. The work-horse is forked from the worker and finds this in `current`."""

    name: str
    settings: Settings
    engine: Engine
    blender_socket: Path
    scratch: Path


_current: Node | None = None


def enter(node: Node) -> None:
    """Called by the worker before it forks its first work-horse."""
    global _current
    _current = node
    # Both are kept for the work-horses: none of them has to load boto3, or to try whether the bundled ffmpeg runs.
    open_storage(node.settings)
    executable(node.settings.ffmpeg)


def current() -> Node:
    if _current is None:
        raise RuntimeError("This job runs in `farm worker` only")
    return _current
