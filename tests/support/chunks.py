"""Chunks that are claimed and completed without a worker."""

from datetime import timedelta

from sqlalchemy.orm import Session

from farm.db.tables import Chunk, Shot, now
from farm.scheduling import leases, render_status
from farm.scheduling.leases import ClaimedChunk, ClaimedRender


def claimed(db: Session, chunk: Chunk | ClaimedChunk, *, seconds: float = 30, worker: str = "w") -> Chunk:
    """Claim this chunk for a worker, whichever chunk is next; returns its row."""
    row = db.get_one(Chunk, chunk.id, populate_existing=True)
    row.state, row.worker, row.lease_until = "running", worker, now() + timedelta(seconds=seconds)
    db.flush()
    return row


def as_claimed(chunk: Chunk) -> ClaimedChunk:
    """A held chunk as its worker sees it."""
    return ClaimedChunk(
        id=chunk.id,
        attempt=chunk.attempt,
        worker=chunk.worker or "",
        kind=chunk.kind,
        tier=chunk.tier,
        first_frame=chunk.first_frame,
        frames=chunk.frames,
        created_at=chunk.created_at,
        shot_id=chunk.shot_id,
        spec=chunk.shot.spec,
        model_key=chunk.shot.model.storage_key,
        renders=[
            ClaimedRender(render.id, render.status in render_status.OVER, render.settings) for render in chunk.renders
        ],
    )


def drawn(db: Session, shot: Shot) -> None:
    """Complete all chunks that draw frames of a shot."""
    for chunk in [chunk for chunk in shot.chunks if chunk.kind == "draw"]:
        row = claimed(db, chunk)
        assert leases.complete(db, row, frames_done=row.frames) is not None
