"""Every query about stored files that are to be looked through for what nobody needs any more."""

from datetime import timedelta
from pathlib import PurePath

from sqlalchemy import delete, select, union
from sqlalchemy.orm import Session

from farm.db.tables import Asset, Model, Overlay, Segment, Sweep, now

# By then whoever lost a lease has noticed.
AFTER = timedelta(minutes=5)
# By then an upload is stored, or whoever received it is dead.
STORED_AFTER = timedelta(hours=1)


def folder(render_id: str) -> str:
    """Where all files of a render are stored."""
    return f"renders/{render_id}/"


def plan(db: Session, render_id: str) -> None:
    """Have a render's files looked through in a while: a worker that died may have left some that no row names."""
    db.add(Sweep(prefix=folder(render_id), due_at=now() + AFTER))


def plan_upload(db: Session, key: str) -> Sweep:
    """Have a file that is about to be stored looked for in a while, unless `drop` says that its row is there."""
    sweep = Sweep(prefix=key, due_at=now() + STORED_AFTER)
    db.add(sweep)
    return sweep


def drop(db: Session, sweep: Sweep) -> None:
    db.execute(delete(Sweep).where(Sweep.id == sweep.id))


def due(db: Session, *, at_most: int) -> list[Sweep]:
    return list(db.scalars(select(Sweep).where(Sweep.due_at < now()).order_by(Sweep.due_at).limit(at_most)))


def named(db: Session, prefix: str) -> set[str]:
    """The storage keys under `prefix` that are in use."""
    place, owner = prefix.split("/")[:2]
    if place == "renders":
        rows = (select(table.storage_key).where(table.render_id == owner) for table in (Asset, Segment))
        return set(db.scalars(union(*rows)))
    name = PurePath(owner).stem
    row = db.get(Model, name) if place == "models" else db.get(Overlay, name)
    return {row.storage_key} if row else set()
