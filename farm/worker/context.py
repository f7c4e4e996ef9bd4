"""The context that a work-horse inherits from its worker: settings, engine, the warm Blender host, a stop flag."""

import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path

from farm import templates
from farm.db.chunks import DRAWING, PREVIEW
from farm.scene.shot import Engine
from farm.settings import Settings
from farm.storage import open_storage
from farm.video.run import executable


@dataclass(frozen=True)
class WorkerContext:
    """One worker and its Blender host. A work-horse is forked from the worker and finds this in `current`."""

    name: str
    settings: Settings
    engine: Engine
    blender_socket: Path
    scratch: Path
    worker_pid: int = field(default_factory=os.getpid)
    # Bytes of memory that the worker and its work-horses share.
    _stop: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1), init=False)
    _previews: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1), init=False)

    def request_stop(self) -> None:
        """Called by the worker: its work-horse claims no chunk after the current one."""
        self._stop[0] = 1

    def is_stop_requested(self) -> bool:
        return bool(self._stop[0])

    def count_claim(self, priority: int) -> None:
        """Called by a work-horse for each chunk that it claims."""
        if priority == PREVIEW:
            self._previews[0] = min(self._previews[0] + 1, 255)
        elif priority == DRAWING:
            self._previews[0] = 0

    @property
    def previews_in_a_row(self) -> int:
        """The number of previews, up to 255, that this worker has claimed since its last other drawing."""
        return self._previews[0]


_current: WorkerContext | None = None


def enter(context: WorkerContext) -> None:
    """Called by the worker before it forks its first work-horse."""
    global _current
    _current = context
    # Loads once, for all work-horses: boto3, the bundled ffmpeg, the templates.
    open_storage(context.settings)
    executable(context.settings.ffmpeg)
    templates.folders()


def current() -> WorkerContext:
    if _current is None:
        raise RuntimeError("This job runs in `farm worker` only")
    return _current
