"""Keeping what was uploaded: its file in the storage and its row in the database, both or neither."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from api.dependencies import Farm
from farm.db import cleanups
from farm.db.tables import Model, Overlay
from farm.storage import discard


@contextmanager
def store_upload(farm: Farm, row: Model | Overlay, path: Path) -> Iterator[Session]:
    """Store the file at `path` and open the transaction that adds its row.

    When that fails the file is taken out again. Where nobody is left to do so, or nobody knows whether the transaction
    was committed, the reaper looks for it later.
    """
    with farm.database.write() as db:
        sweep = cleanups.plan_upload(db, row.storage_key)
    # The file first, so that no worker can find a row without one; and outside the transaction, which is short.
    try:
        farm.storage.put(row.storage_key, path)
        with farm.database.write() as db:
            cleanups.drop(db, sweep)
            db.add(row)
            db.flush()
            yield db
    except OperationalError:
        raise
    except BaseException:
        discard(farm.storage, [row.storage_key])
        raise
