"""Publishes files: they are stored and named in the database, both or neither."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from farm.db import cleanups, renders
from farm.db.tables import Asset
from farm.errors import Unavailable
from farm.storage import Storage, discard
from farm.worker.lease import Lease

CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".zip": "application/zip",
}


def key(render_id: str, lease: Lease, path: Path) -> str:
    """The storage key of an attempt's file. No other attempt uses it, so a late one cannot overwrite newer files."""
    return f"{cleanups.folder(render_id)}{lease.name}/{path.name}"


@contextlib.contextmanager
def stored(storage: Storage, lease: Lease, files: dict[str, Path]) -> Iterator[None]:
    """Store files by key while the lease is renewed. If the block fails they are removed again.

    They stay if the database fails, as the transaction may have been committed, and if the storage fails, as each
    removal would wait for it again: the render's cleanup removes them later.
    """
    try:
        with lease.renewed(on_loss=lambda: None):
            for name, path in files.items():
                storage.put(name, path)
        yield
    except (OperationalError, Unavailable):
        raise
    except BaseException:
        discard(storage, files)
        raise


def replace_assets(db: Session, render_id: str, lease: Lease, files: dict[str, Path]) -> list[str]:
    """Make stored files a render's assets, by kind. Returns the storage keys of the assets that they replace."""
    assets = [
        Asset(
            render_id=render_id,
            kind=kind,
            storage_key=key(render_id, lease, path),
            content_type=CONTENT_TYPES[path.suffix],
            size=path.stat().st_size,
        )
        for kind, path in files.items()
    ]
    return renders.add_assets(db, assets)
