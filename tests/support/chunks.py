"""Chunks that are claimed and completed without a worker."""

from datetime import timedelta

from sqlalchemy.orm import Session

from farm.db.tables import Chunk, Shot, now
from farm.scheduling import leases
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import ClaimedChunk


def claimed(db: Session, chunk: Chunk | ClaimedChunk, *, seconds: float = 30, worker: str = "w") -> Chunk:
    """Claim this chunk for a worker, whichever chunk is next; returns its row."""
    row = db.get_one(Chunk, chunk.id, populate_existing=True)
    row.state, row.worker, row.lease_until = "running", worker, now() + timedelta(seconds=seconds)
    db.flush()
    return row


def as_claimed(chunk: Chunk) -> ClaimedChunk:
    """The claim of the worker that holds this chunk."""
    return ClaimedChunk.from_row(chunk)


def drawn(db: Session, shot: Shot, doorbell: Doorbell) -> None:
    """All frames of a shot, drawn by a worker."""
    for chunk in [chunk for chunk in shot.chunks if chunk.kind == "draw"]:
        row = claimed(db, chunk)
        assert leases.complete(db, doorbell, row, frames_done=row.frames) is not None
