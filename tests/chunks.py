"""Chunks in tests: claimed, as a worker would, and ended."""

from datetime import timedelta

from sqlalchemy.orm import Session

from farm import leases
from farm.db.tables import Chunk, Shot, now


def claimed(db: Session, chunk: Chunk, *, seconds: float = 30, worker: str = "w") -> Chunk:
    """This very chunk, held by a worker, whoever's turn it is."""
    row = db.get_one(Chunk, chunk.id, populate_existing=True)
    row.state, row.worker, row.lease_until = "running", worker, now() + timedelta(seconds=seconds)
    db.flush()
    return row


def drawn(db: Session, shot: Shot) -> None:
    """All frames of a shot, drawn by a worker."""
    for chunk in [chunk for chunk in shot.chunks if chunk.kind == "draw"]:
        row = claimed(db, chunk)
        assert leases.complete(db, row.id, row.attempt, frames_done=row.frames) is not None
