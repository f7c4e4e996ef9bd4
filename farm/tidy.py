"""Removes stored files that nobody needs any more: those of deleted models and overlays, once no render needs them, and
what workers that died have left of a render."""

from datetime import timedelta

from farm import state
from farm.db import models, overlays, sweeps
from farm.db.session import Database
from farm.db.tables import now
from farm.storage import Storage

# A request that found a model alive may be about to commit a render of it.
GRACE = timedelta(minutes=1)
UNFINISHED = state.ORDER[:-1]
AT_ONCE = 100  # renders a pass, so that no transaction gets long


def tidy(database: Database, storage: Storage) -> None:
    """One pass. A file that is gone already is no error, so a pass that broke off is simply done again."""
    before = now() - GRACE
    with database.write() as db:
        for model in models.with_unneeded_file(db, before, UNFINISHED):
            storage.delete(model.storage_key)
            model.has_file = False
        for overlay in overlays.unneeded(db, before, UNFINISHED):
            storage.delete(overlay.storage_key)
            db.delete(overlay)
        for sweep in sweeps.due(db, at_most=AT_ONCE):
            for key in set(storage.keys(sweep.prefix)) - sweeps.named(db, sweep.prefix):
                storage.delete(key)
            db.delete(sweep)
