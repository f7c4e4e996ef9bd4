"""Every query about stored files of renders that are to be looked through for what nobody needs any more."""

from datetime import timedelta

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from farm.db.tables import Asset, Segment, Sweep, now

# By then whoever lost a lease has noticed.
AFTER = timedelta(minutes=5)


def folder(render_id: str) -> str:
    """Where all files of a render are stored."""
    return f"renders/{render_id}/"


def plan(db: Session, render_id: str) -> None:
    """Have a render's files looked through in a while: a worker that died may have left some that no row names."""
    db.add(Sweep(prefix=folder(render_id), due_at=now() + AFTER))


def due(db: Session, *, at_most: int) -> list[Sweep]:
    return list(db.scalars(select(Sweep).where(Sweep.due_at < now()).order_by(Sweep.due_at).limit(at_most)))


def named(db: Session, prefix: str) -> set[str]:
    """The storage keys under `prefix` that are in use."""
    render_id = prefix.split("/")[1]
    rows = (select(table.storage_key).where(table.render_id == render_id) for table in (Asset, Segment))
    return set(db.scalars(union(*rows)))
