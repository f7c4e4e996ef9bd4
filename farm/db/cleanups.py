"""Every query about cleanups: prefixes of storage keys under which files without a row are to be removed."""

from datetime import timedelta
from pathlib import PurePath

from sqlalchemy import delete, select, union, update
from sqlalchemy.orm import Session

from farm.db import clock
from farm.db.tables import Asset, Cleanup, Model, Overlay, Segment

RENDER_GRACE = timedelta(minutes=5)  # a worker that lost its lease notices within this time
RETRY_INTERVAL = timedelta(minutes=10)
UPLOAD_GRACE = timedelta(hours=1)  # an upload is stored within this time, or the process that received it is dead


def folder(render_id: str) -> str:
    """The prefix of the storage keys of all files of a render."""
    return f"renders/{render_id}/"


def schedule(db: Session, render_id: str) -> None:
    """Clean up after a render: a worker that died may have left files that no row names."""
    db.add(Cleanup(prefix=folder(render_id), due_at=clock.now(db) + RENDER_GRACE))


def schedule_upload(db: Session, key: str) -> Cleanup:
    """Remove a file that is about to be stored, if no row names it after the grace period."""
    cleanup = Cleanup(prefix=key, due_at=clock.now(db) + UPLOAD_GRACE)
    db.add(cleanup)
    return cleanup


def schedule_retry(db: Session, key: str) -> None:
    """Remove a file that no row needs and that could not be removed now."""
    db.add(Cleanup(prefix=key, due_at=clock.now(db) + RETRY_INTERVAL))


def cancel(db: Session, cleanup: Cleanup) -> None:
    db.execute(delete(Cleanup).where(Cleanup.id == cleanup.id))


def postpone(db: Session, cleanup: Cleanup) -> None:
    """Try again later, after cleanups that are due by then: this one has failed."""
    retried = update(Cleanup).where(Cleanup.id == cleanup.id).values(due_at=clock.now(db) + RETRY_INTERVAL)
    db.execute(retried)


def due(db: Session, *, limit: int) -> list[Cleanup]:
    return list(db.scalars(select(Cleanup).where(Cleanup.due_at < clock.now(db)).order_by(Cleanup.due_at).limit(limit)))


def keys_in_use(db: Session, prefix: str) -> set[str]:
    """The storage keys under `prefix` that a row names, but those of models that have given up their files."""
    kind, owner = prefix.split("/")[:2]
    if kind == "renders":
        rows = (select(table.storage_key).where(table.render_id == owner) for table in (Asset, Segment))
        return set(db.scalars(union(*rows)))
    name = PurePath(owner).stem
    row = db.get(Model, name) if kind == "models" else db.get(Overlay, name)
    return set() if row is None or (isinstance(row, Model) and not row.has_file) else {row.storage_key}
