"""Removes stored files that are no longer needed: those of deleted models and overlays, once no render needs them, and
files of renders and uploads that dead processes have left behind; and answers that were kept long enough."""

from datetime import timedelta

from farm.db import answers, cleanups, clock, counters, models, overlays
from farm.db.session import Database
from farm.db.tables import Cleanup, Model, Overlay
from farm.scheduling.attempted import attempted
from farm.scheduling.render_status import UNFINISHED
from farm.storage import Storage

# A request that found a model before its deletion may be about to commit a render of it.
DELETION_GRACE = timedelta(minutes=1)
CLEANUPS_AT_ONCE = 100
MAX_CLEANUPS_PER_PASS = 10_000  # so that files of models and overlays are not kept waiting for long


def clean_up(database: Database, storage: Storage) -> None:
    """One pass. Removing a file that does not exist is no error, so an interrupted pass is simply repeated.

    No transaction is open while a file is removed, which may take long. A file that cannot be removed is tried again
    later, and keeps no other.
    """
    with database.read() as db:
        deleted_before = clock.now(db) - DELETION_GRACE
        dead_models = models.with_unneeded_file(db, deleted_before, UNFINISHED)
    dead_overlays: list[Overlay] = []
    with attempted(database, "overlays"), database.read() as db:
        dead_overlays = overlays.unneeded(db, deleted_before, UNFINISHED)
    for model in dead_models:
        with attempted(database, "files", model.storage_key):
            storage.delete(model.storage_key)
            with database.write() as db:
                if found := db.get(Model, model.id):  # its account may have been deleted meanwhile
                    found.has_file = False
    for overlay in dead_overlays:
        with attempted(database, "files", overlay.storage_key):
            storage.delete(overlay.storage_key)
            with database.write() as db:
                if row := db.get(Overlay, overlay.id):  # another reaper may have been faster
                    db.delete(row)
                    counters.PURGED.add(db, what="overlays")
    for _ in range(MAX_CLEANUPS_PER_PASS // CLEANUPS_AT_ONCE):
        with database.read() as db:
            due = cleanups.due(db, limit=CLEANUPS_AT_ONCE)
        for cleanup in due:
            _work_off(database, storage, cleanup)
        if len(due) < CLEANUPS_AT_ONCE:
            break
    with attempted(database, "answers", "all"), database.write() as db:
        answers.prune(db)


def _work_off(database: Database, storage: Storage, cleanup: Cleanup) -> None:
    """Remove what is stored under the cleanup's prefix and needed by no row; postpone it if that fails."""
    is_done = False
    with attempted(database, "cleanups", cleanup.prefix):
        stored = set(storage.keys(cleanup.prefix))  # before the rows are read: a file stored in between stays
        with database.read() as db:
            unwanted = stored - cleanups.keys_in_use(db, cleanup.prefix)
        removed = [_remove(database, storage, key) for key in unwanted]
        is_done = all(removed)
    with database.write() as db:
        cleanups.cancel(db, cleanup) if is_done else cleanups.postpone(db, cleanup)


def _remove(database: Database, storage: Storage, key: str) -> bool:
    """Whether a file could be removed."""
    with attempted(database, "files", key):
        storage.delete(key)
        return True
    return False
