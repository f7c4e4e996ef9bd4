"""Removes stored files that nobody needs any more: those of deleted models and overlays, once no render needs them, and
what workers that died have left of a render."""

from datetime import timedelta

from farm.db import cleanups, models, overlays
from farm.db.session import Database
from farm.db.tables import Model, now
from farm.scheduling import render_status
from farm.storage import Storage

# A request that found a model alive may be about to commit a render of it.
GRACE = timedelta(minutes=1)
UNFINISHED = render_status.ORDER[:-1]
AT_ONCE = 100  # renders a pass, so that no transaction gets long


def tidy(database: Database, storage: Storage) -> None:
    """One pass. A file that is gone already is no error, so a pass that broke off is simply done again.

    No transaction is open while the storage works: it may take its time.
    """
    before = now() - GRACE
    with database.read() as db:
        dead_models = models.with_unneeded_file(db, before, UNFINISHED)
        dead_overlays = overlays.unneeded(db, before, UNFINISHED)
        due = cleanups.due(db, at_most=AT_ONCE)
    for key in [model.storage_key for model in dead_models] + [overlay.storage_key for overlay in dead_overlays]:
        storage.delete(key)
    for sweep in due:
        stored = set(storage.keys(sweep.prefix))  # before those in use are looked up, lest one is new between the two
        with database.read() as db:
            unwanted = stored - cleanups.named(db, sweep.prefix)
        for key in unwanted:
            storage.delete(key)
    with database.write() as db:
        for model in dead_models:
            db.get_one(Model, model.id).has_file = False
        for row in [*dead_overlays, *due]:
            if found := db.get(type(row), row.id):  # else another reaper was here, too
                db.delete(found)
