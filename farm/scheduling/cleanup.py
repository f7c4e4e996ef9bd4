"""Removes stored files that are no longer needed: those of deleted models and overlays, once no render needs them, and
files of renders and uploads that dead processes have left behind; and rows that are over: answers, browsers' sessions,
invitations."""

from datetime import timedelta

from farm.db import answers, cleanups, clock, counters, models, overlays, sessions
from farm.db.session import Database
from farm.db.tables import Cleanup, Model, Overlay
from farm.scheduling.attempted import attempted
from farm.scheduling.render_status import UNFINISHED
from farm.storage import Storage

# A request that found a model before its deletion may be about to commit a render of it.
DELETION_GRACE = timedelta(minutes=1)
BATCH = 100  # rows that are read at a time
MAX_BATCHES_PER_PASS = 100


def clean_up(database: Database, storage: Storage) -> None:
    """One pass. Removing a file that does not exist is no error, so an interrupted pass is simply repeated.

    No transaction is open while a file is removed, which may take long. A file that cannot be removed is tried again
    later, and keeps no other.
    """
    with database.read() as db:
        deleted_before = clock.now(db) - DELETION_GRACE
        dead_models = models.with_unneeded_file(db, deleted_before, UNFINISHED, limit=BATCH)
    dead_overlays: list[Overlay] = []
    with attempted(database, "overlays"), database.read() as db:
        dead_overlays = overlays.unneeded(db, deleted_before, UNFINISHED, limit=BATCH)
    for model in dead_models:
        _remove_for_good(database, storage, model)
    for overlay in dead_overlays:
        _remove_for_good(database, storage, overlay)
    for _ in range(MAX_BATCHES_PER_PASS):
        with database.read() as db:
            due = cleanups.due(db, limit=BATCH)
        done = [_clean(database, storage, cleanup) for cleanup in due]
        if len(due) < BATCH or not all(done):  # a storage that is down is not asked for every file
            break
    with attempted(database, "answers", "all"), database.write() as db:
        answers.prune(db)
    with attempted(database, "sessions", "all"), database.write() as db:
        sessions.prune(db)


def _remove_for_good(database: Database, storage: Storage, owner: Model | Overlay) -> None:
    """Remove the file of a deleted model or overlay; a cleanup takes it over if that fails."""
    removed = _remove(database, storage, owner.storage_key)
    with attempted(database, "files", owner.storage_key), database.write() as db:
        if not removed:
            cleanups.schedule_retry(db, owner.storage_key)
        row = db.get(type(owner), owner.id)  # its account may have been deleted, or another reaper have been faster
        if isinstance(row, Model):
            row.has_file = False
        elif isinstance(row, Overlay):
            db.delete(row)
            counters.PURGED.add(db, what="overlays")


def _clean(database: Database, storage: Storage, cleanup: Cleanup) -> bool:
    """Whether all files of a cleanup that no row names could be removed; it is postponed if not."""
    removed = [False]
    with attempted(database, "cleanups", cleanup.prefix):
        stored = set(storage.keys(cleanup.prefix))  # before the rows are read: a file stored in between stays
        with database.read() as db:
            unwanted = stored - cleanups.keys_in_use(db, cleanup.prefix)
        removed = [_remove(database, storage, key) for key in unwanted]
    with attempted(database, "cleanups", cleanup.prefix), database.write() as db:
        cleanups.cancel(db, cleanup) if all(removed) else cleanups.postpone(db, cleanup)
    return all(removed)


def _remove(database: Database, storage: Storage, key: str) -> bool:
    """Whether a file could be removed."""
    with attempted(database, "files", key):
        storage.delete(key)
        return True
    return False
