"""What a work-horse inherits from its worker: settings, engine, the warm Blender host, and whether to stop."""

import mmap
from dataclasses import dataclass, field
from pathlib import Path

from farm import templates
from farm.scene.shot import Engine
from farm.settings import Settings
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
    _stop: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1), init=False)  # a byte that both have in common

    def tell_to_stop(self) -> None:
        """Called by the worker: its work-horse shall take no chunk after the one at hand."""
        self._stop[0] = 1

    def is_told_to_stop(self) -> bool:
        return bool(self._stop[0])


_current: Node | None = None


def enter(node: Node) -> None:
    """Called by the worker before it forks its first work-horse."""
    global _current
    _current = node
    # Kept for the work-horses: none has to load boto3, to try the bundled ffmpeg, or to read settings again.
    open_storage(node.settings)
    executable(node.settings.ffmpeg)
    templates.folders()


def current() -> Node:
    if _current is None:
        raise RuntimeError("This job runs in `farm worker` only")
    return _current
