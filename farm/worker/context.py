"""The context that a work-horse inherits from its worker: settings, engine, the warm Blender host, a stop flag."""

import mmap
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from farm import templates
from farm.blender.client import Blender
from farm.blender.host_process import memory_limit
from farm.db.chunks import FINISHING, PREVIEW
from farm.scene.shot import Engine
from farm.settings import Settings
from farm.storage import open_storage
from farm.video.run import executable

TENANT_BYTES = 64  # for an account's id
MAX_PREVIEWS_IN_A_ROW = 3  # of a worker, while other drawing waits
MAX_PREVIEW_SECONDS = 30.0  # the same: previews of models that hang take minutes each


@dataclass(frozen=True)
class WorkerContext:
    """One worker and its Blender host. A work-horse is forked from the worker and finds this in `current`."""

    name: str
    settings: Settings
    engine: Engine
    blender_socket: Path
    scratch: Path
    worker_pid: int = field(default_factory=os.getpid)
    _stop: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1), init=False)  # a byte of shared memory
    previews: "PreviewsInARow" = field(default_factory=lambda: PreviewsInARow(), init=False)
    _tenant: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, TENANT_BYTES), init=False)
    _stale: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1), init=False)

    def blender(self) -> Blender:
        """A connection to the Blender host, with the node's limits."""
        settings = self.settings
        return Blender(
            self.blender_socket,
            settings.frame_timeout,
            memory_limit(settings.blender_bytes),
            opening_timeout=settings.opening_timeout,
        )

    def host_admits(self, account_id: str) -> bool:
        """Called by a work-horse: whether the Blender host may open a model of this account.

        With FARM_ISOLATE_TENANTS a host serves one account. If it is not this one, the worker replaces the host when
        the work-horse has ended.
        """
        if not self.settings.isolate_tenants:
            return True
        own, tenant = account_id.encode().ljust(TENANT_BYTES, b"\0"), self._tenant[:]
        self._stale[0] = tenant not in (own, bytes(TENANT_BYTES))
        if not self._stale[0]:
            self._tenant[:] = own
        return not self._stale[0]

    def is_host_stale(self) -> bool:
        """Called by the worker: whether the host has refused an account, and is to be replaced."""
        return bool(self._stale[0])

    def forget_tenant(self) -> None:
        """Called by the worker when it has replaced the host."""
        self._stale[0], self._tenant[:] = 0, bytes(TENANT_BYTES)

    def request_stop(self) -> None:
        """Called by the worker: its work-horse claims no chunk after the current one."""
        self._stop[0] = 1

    def is_stop_requested(self) -> bool:
        return bool(self._stop[0])


class PreviewsInARow:
    """Counts the previews that were claimed in a row, in memory that a worker shares with its work-horses.

    Previews come first, as they are quick, but not without end: then drawing has a turn, if any waits.
    """

    def __init__(self) -> None:
        self._row = memoryview(mmap.mmap(-1, 16)).cast("d")  # number in a row, and when the first was claimed

    @property
    def drawing_first(self) -> bool:
        number, began = self._row
        return number >= MAX_PREVIEWS_IN_A_ROW or (number > 0 and time.monotonic() - began > MAX_PREVIEW_SECONDS)

    def count(self, priority: int | None) -> None:
        """Record what a work-horse has claimed; None if nothing waited."""
        if priority == FINISHING:
            return
        if self.drawing_first or priority != PREVIEW:  # drawing had its turn, or did not wait
            self._row[0] = 0
        if priority == PREVIEW:
            self._row[0] += 1
            if self._row[0] == 1:
                self._row[1] = time.monotonic()


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
