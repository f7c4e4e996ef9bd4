"""Stores an upload's file in the storage and its row in the database: both or neither."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from api.dependencies import Farm
from api.effects import Effect
from farm.db import cleanups, quotas
from farm.db.session import DATABASE_DOWN
from farm.db.tables import Model, Overlay
from farm.storage import discard


@contextmanager
def store_upload(farm: Farm, effect: Effect, row: Model | Overlay, path: Path) -> Iterator[Session]:
    """Store the file at `path` and open the transaction of the effect, which adds its row.

    When that fails, the file is deleted again. When this process dies, or cannot know whether the transaction was
    committed, the reaper cleans up later. Raises UploadLimit when a quota of the account is exhausted.
    """
    with farm.database.write() as db:
        quotas.check(db, row, farm.settings)  # before the file is stored in vain
        cleanup = cleanups.schedule_upload(db, row.storage_key)
    # The file first, so that no worker finds a row without a file; outside the transaction, which is thus short.
    try:
        farm.storage.put(row.storage_key, path)
    except BaseException:
        discard(farm.storage, [row.storage_key])
        raise  # the cleanup stays: a storage that did not answer in time may still store the file
    try:
        with effect.transaction() as db:
            quotas.check(db, row, farm.settings)
            cleanups.cancel(db, cleanup)
            db.add(row)
            db.flush()
            yield db
    except OperationalError:
        raise
    except BaseException:
        if not discard(farm.storage, [row.storage_key]):
            with suppress(*DATABASE_DOWN), farm.database.write() as db:  # the reaper finds nothing to clean up
                cleanups.cancel(db, cleanup)
        raise
