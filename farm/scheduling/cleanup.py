"""Removes stored files that are no longer needed: those of deleted models and overlays, once no render needs them, and
files of renders and uploads that dead processes have left behind."""

from datetime import timedelta

from farm.db import cleanups, clock, models, overlays
from farm.db.session import Database
from farm.db.tables import Model
from farm.scheduling import render_status
from farm.storage import Storage

# A request that found a model before its deletion may be about to commit a render of it.
DELETION_GRACE = timedelta(minutes=1)
UNFINISHED = render_status.ORDER[:-1]
MAX_CLEANUPS_PER_PASS = 100


def clean_up(database: Database, storage: Storage) -> None:
    """One pass. Removing a file that does not exist is no error, so an interrupted pass is simply repeated.

    No transaction is open while a file is removed, which may take long.
    """
    with database.read() as db:
        deleted_before = clock.now(db) - DELETION_GRACE
        dead_models = models.with_unneeded_file(db, deleted_before, UNFINISHED)
        dead_overlays = overlays.unneeded(db, deleted_before, UNFINISHED)
        due = cleanups.due(db, limit=MAX_CLEANUPS_PER_PASS)
    for key in [model.storage_key for model in dead_models] + [overlay.storage_key for overlay in dead_overlays]:
        storage.delete(key)
    for cleanup in due:
        stored = set(storage.keys(cleanup.prefix))  # before the rows are read: a file stored in between stays
        with database.read() as db:
            unwanted = stored - cleanups.keys_in_use(db, cleanup.prefix)
        for key in unwanted:
            storage.delete(key)
    with database.write() as db:
        for model in dead_models:
            db.get_one(Model, model.id).has_file = False
        for row in [*dead_overlays, *due]:
            if found := db.get(type(row), row.id):  # another reaper may have been faster
                db.delete(found)
