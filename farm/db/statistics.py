"""Every query about the farm as a whole, for its operator."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from farm.db.chunks import UNFINISHED
from farm.db.tables import Account, Asset, Chunk, Model, Overlay, now


class Lot(NamedTuple):
    """Unfinished chunks of one state, kind and priority: how many, and since when the oldest is there."""

    state: str
    kind: str
    priority: int
    number: int
    oldest: datetime


def queue(db: Session) -> list[Lot]:
    """The unfinished chunks in lots. Finished ones are not looked at."""
    lot = (Chunk.state, Chunk.kind, Chunk.priority)
    wanted = select(*lot, func.count(), func.min(Chunk.created_at)).where(Chunk.state.in_(UNFINISHED)).group_by(*lot)
    return [Lot(*row) for row in db.execute(wanted)]


def overdue(db: Session) -> int:
    """How many chunks nobody holds any more, and no reaper has taken back for a minute."""
    lapsed = (Chunk.state == "running", Chunk.lease_until < now() - timedelta(minutes=1))
    return db.scalar(select(func.count()).select_from(Chunk).where(*lapsed)) or 0


def stored_bytes(db: Session) -> dict[str, int]:
    """What the stored files take, by what they are. Reads every row of three tables: not for every moment."""
    sizes = {
        "models": select(func.sum(Model.file_size)).where(Model.has_file),
        "overlays": select(func.sum(Overlay.file_size)),
        "assets": select(func.sum(Asset.size)),
    }
    return {what: int(db.scalar(size) or 0) for what, size in sizes.items()}


def credits_left(db: Session) -> int:
    """What all accounts together could still spend."""
    return int(db.scalar(select(func.sum(Account.credits))) or 0)
