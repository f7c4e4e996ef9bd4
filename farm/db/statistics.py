"""Every query about the farm as a whole, for its operator."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import case, func, or_, select
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


class AccountCounts(NamedTuple):
    """Unfinished chunks of one account: how many wait and run, and when the oldest waiting one was created."""

    account_id: str
    email: str
    is_suspended: bool
    node_tag: str | None
    waiting: int
    running: int
    oldest: datetime | None


def unfinished_of_accounts(db: Session) -> list[AccountCounts]:
    """Counts of the unfinished chunks by account, with those of suspended accounts; most waiting chunks first."""
    waits = case((Chunk.state == "queued", 1), else_=0)
    oldest = func.min(case((Chunk.state == "queued", Chunk.created_at)))
    waiting = func.sum(waits)
    rows = db.execute(
        select(
            Account.id,
            Account.email,
            Account.suspended_at.is_not(None),
            Account.node_tag,
            waiting,
            func.count() - waiting,
            oldest,
        )
        .join(Account, Account.id == Chunk.account_id)
        .where(Chunk.state.in_(UNFINISHED))
        .group_by(Account.id)
        .order_by(waiting.desc(), Account.email)
    )
    return [AccountCounts(row[0], row[1], bool(row[2]), row[3], int(row[4]), int(row[5]), row[6]) for row in rows]


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
