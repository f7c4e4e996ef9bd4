"""Who may work on a chunk: the only place that writes a chunk's state, attempt and lease.

A worker claims a chunk for one attempt and renews its lease while it works. Whoever comes with another attempt number
than the row holds is refused: a late worker can never overwrite what a newer one does (fencing).
"""

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from farm import state
from farm.db.tables import Chunk, Render, now
from farm.errors import BadModel, FarmError, WorkerLost


def claim(db: Session, chunk_id: str, attempt: int, *, worker: str, seconds: float) -> bool:
    """Take a queued chunk for `seconds`. False when it is gone, taken or on another attempt."""
    return _change(db, chunk_id, attempt, "queued", state="running", worker=worker, lease_until=_in(seconds))


def renew(db: Session, chunk_id: str, attempt: int, *, frames_done: int, seconds: float) -> bool:
    """Keep a claimed chunk for another `seconds`. False when the claim was lost: then stop working on it."""
    return _change(db, chunk_id, attempt, "running", frames_done=frames_done, lease_until=_in(seconds))


def complete(db: Session, chunk_id: str, attempt: int, *, frames_done: int) -> bool:
    """End a claimed chunk. False when the claim was lost: then its results do not count."""
    return _change(db, chunk_id, attempt, "running", state="done", frames_done=frames_done, lease_until=None)


def fail(db: Session, chunk_id: str, attempt: int, error: FarmError, *, attempts: int) -> Chunk | None:
    """Give a chunk back after an attempt went wrong.

    Returns the chunk when it shall be tried again. A fault of the model, or as many failures as `attempts`, ends it and
    its renders with the error's message. Does nothing when the attempt is not the current one.
    """
    chunk = db.get(Chunk, chunk_id, with_for_update=True)
    if chunk is None or chunk.attempt != attempt or chunk.state not in ("queued", "running"):
        return None
    chunk.failures += 1
    if isinstance(error, BadModel) or chunk.failures >= attempts:
        chunk.state, chunk.lease_until = "failed", None
        tries = "" if isinstance(error, BadModel) else f" ({chunk.failures} attempts)"
        for render in db.scalars(select(Render).where(Render.shot_id == chunk.shot_id)):
            state.advance(db, render, "error", message=error.message + tries)
        return None
    return _requeue(chunk)


def release(db: Session, *, worker: str) -> list[Chunk]:
    """Give back what a worker that stops has claimed. That is nobody's fault and counts as no failure."""
    return [
        _requeue(chunk) for chunk in db.scalars(select(Chunk).where(Chunk.state == "running", Chunk.worker == worker))
    ]


def reap(db: Session, *, attempts: int) -> list[Chunk]:
    """Take lapsed leases back, each counting as a failure. Returns all chunks that wait for a worker."""
    for chunk in db.scalars(select(Chunk).where(Chunk.state == "running", Chunk.lease_until < now())):
        fail(db, chunk.id, chunk.attempt, WorkerLost(), attempts=attempts)
    db.flush()
    return list(db.scalars(select(Chunk).where(Chunk.state == "queued").order_by(Chunk.created_at)))


def _requeue(chunk: Chunk) -> Chunk:
    # A new attempt number fences off whoever may still work on the old one.
    chunk.state, chunk.attempt, chunk.frames_done = "queued", chunk.attempt + 1, 0
    chunk.lease_until = chunk.worker = None
    return chunk


def _in(seconds: float) -> Any:
    return now() + timedelta(seconds=seconds)


def _change(db: Session, chunk_id: str, attempt: int, expected: str, **values: Any) -> bool:
    matches = (Chunk.id == chunk_id, Chunk.attempt == attempt, Chunk.state == expected)
    result = cast(CursorResult[Any], db.execute(update(Chunk).where(*matches).values(**values)))
    return result.rowcount == 1
