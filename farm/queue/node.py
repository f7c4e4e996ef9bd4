"""What a work-horse inherits from its worker: settings, engine, the warm Blender host, and whether to stop."""

import mmap
from dataclasses import dataclass
from pathlib import Path

from farm import templates
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
_told_to_stop = mmap.mmap(-1, 1)  # one byte, which worker and work-horses share


def enter(node: Node) -> None:
    """Called by the worker before it forks its first work-horse."""
    global _current
    _current = node
    # Kept for the work-horses: none has to load boto3, to try the bundled ffmpeg, or to read settings again.
    open_storage(node.settings)
    executable(node.settings.ffmpeg)
    templates.folders()


def tell_to_stop() -> None:
    """Called by the worker: its work-horse shall take no chunk after the one at hand."""
    _told_to_stop[0] = 1


def is_told_to_stop() -> bool:
    return bool(_told_to_stop[0])


def current() -> Node:
    if _current is None:
        raise RuntimeError("This job runs in `farm worker` only")
    return _current
