"""Every query about the farm as a whole, for its operator."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from farm.db import clock
from farm.db.chunks import NOT_SUSPENDED, UNFINISHED
from farm.db.tables import Account, Asset, Chunk, Model, Overlay


class ChunkCounts(NamedTuple):
    """Unfinished chunks of one state, kind and priority: how many, and when the oldest was created."""

    state: str
    kind: str
    priority: int
    number: int
    oldest: datetime


def unfinished_chunks(db: Session) -> list[ChunkCounts]:
    """Counts of the unfinished chunks, without those that wait for a suspended account. Finished ones are not read."""
    group = (Chunk.state, Chunk.kind, Chunk.priority)
    unfinished = (Chunk.state.in_(UNFINISHED), or_(Chunk.state == "running", NOT_SUSPENDED))
    counts = select(*group, func.count(), func.min(Chunk.created_at)).where(*unfinished)
    return [ChunkCounts(*row) for row in db.execute(counts.group_by(*group))]


def overdue_chunks(db: Session) -> int:
    """How many chunks have a lease that expired over a minute ago, which no reaper has released."""
    expired = (Chunk.state == "running", Chunk.lease_until < clock.now(db) - timedelta(minutes=1))
    return db.scalar(select(func.count()).select_from(Chunk).where(*expired)) or 0


def stored_bytes(db: Session) -> dict[str, int]:
    """Bytes of the stored files by kind. Reads every row of three tables, so cache the result."""
    sizes = {
        "models": select(func.sum(Model.file_size)).where(Model.has_file),
        "overlays": select(func.sum(Overlay.file_size)),
        "assets": select(func.sum(Asset.size)),
    }
    return {kind: int(db.scalar(size) or 0) for kind, size in sizes.items()}


def credits_left(db: Session) -> int:
    """The credits that all accounts together can still spend."""
    return int(db.scalar(select(func.sum(Account.credits))) or 0)
