"""Putting files into the storage and into the database, both or neither."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import bindparam, delete, insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from farm.db import cleanups
from farm.db.session import send
from farm.db.tables import Asset
from farm.errors import Unavailable
from farm.storage import Storage, discard
from farm.worker.lease import Lease

CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".png": "image/png",
    ".zip": "application/zip",
}

_REPLACED = (
    delete(Asset)
    .where(Asset.render_id == bindparam("render_id"), Asset.kind.in_(bindparam("kinds", expanding=True)))
    .returning(Asset.storage_key)
)


def key(render_id: str, lease: Lease, path: Path) -> str:
    """Where an attempt stores a file: no other attempt uses the key, so a late one touches nothing of a newer one's."""
    return f"{cleanups.folder(render_id)}{lease.name}/{path.name}"


@contextlib.contextmanager
def stored(storage: Storage, lease: Lease, files: dict[str, Path]) -> Iterator[None]:
    """Store files by key, however long that takes. When the block fails they are taken out again.

    Not so when the database fails, as nobody knows whether it has committed, or the storage, which would keep us
    waiting for each of them once more: then the render's sweep finds them.
    """
    try:
        with lease.kept(on_loss=lambda: None):
            for name, path in files.items():
                storage.put(name, path)
        yield
    except (OperationalError, Unavailable):
        raise
    except BaseException:
        discard(storage, files)
        raise


def replace_assets(db: Session, render_id: str, lease: Lease, files: dict[str, Path]) -> list[str]:
    """Make stored files a render's assets by kind. Returns the keys of those that they replace."""
    replaced = list(send(db, _REPLACED, {"render_id": render_id, "kinds": list(files)}).scalars())
    assets = [
        {
            "render_id": render_id,
            "kind": kind,
            "storage_key": key(render_id, lease, path),
            "content_type": CONTENT_TYPES[path.suffix],
            "size": path.stat().st_size,
        }
        for kind, path in files.items()
    ]
    send(db, insert(Asset), assets)
    return replaced
