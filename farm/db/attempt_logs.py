"""Every query about attempts at chunks: how they ended, and their logs."""

from datetime import datetime
from typing import Literal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, defer

from farm.db import clock
from farm.db.tables import AttemptLog, Chunk, Render

Outcome = Literal["finished", "failed", "expired", "released", "postponed", "cancelled"]
Observer = Literal["worker", "reaper", "operator"]


def record_end(
    db: Session,
    chunk_id: str,
    attempt: int,
    worker: str | None,
    began_at: datetime | None,
    outcome: Outcome,
    noticed_by: Observer,
    reason: str | None = None,
) -> None:
    """Record how an attempt ended, and which part of the farm noticed."""
    entry = _find(db, chunk_id, attempt) or AttemptLog(chunk_id=chunk_id, attempt=attempt, worker=worker or "")
    entry.began_at, entry.ended_at = began_at, clock.now(db)
    entry.outcome, entry.noticed_by, entry.reason = outcome, noticed_by, reason
    db.add(entry)
    db.flush()


def store(db: Session, chunk_id: str, attempt: int, worker: str, text: str) -> None:
    """Store an attempt's log. Raises IntegrityError on flush when the chunk was deleted."""
    entry = _find(db, chunk_id, attempt) or AttemptLog(chunk_id=chunk_id, attempt=attempt, worker=worker)
    entry.text = text.replace("\0", "")  # PostgreSQL rejects text with NUL characters
    db.add(entry)


def of_render(db: Session, render: Render, *, with_text: bool = False) -> list[tuple[Chunk, list[AttemptLog]]]:
    """The chunks of a render in the order of its frames, the finishing one last, each with its attempts so far.

    The text of the attempts can be read with `with_text` only: that of many is large.
    """
    its_own = or_(Chunk.kind == "draw", Chunk.render_id == render.id)
    wanted = select(Chunk).where(Chunk.shot_id == render.shot_id, its_own).order_by(Chunk.kind, Chunk.first_frame)
    parts: dict[str, tuple[Chunk, list[AttemptLog]]] = {chunk.id: (chunk, []) for chunk in db.scalars(wanted)}
    attempts = select(AttemptLog).where(AttemptLog.chunk_id.in_(list(parts))).order_by(AttemptLog.attempt)
    if not with_text:
        attempts = attempts.options(defer(AttemptLog.text, raiseload=True))
    for entry in db.scalars(attempts):
        parts[entry.chunk_id][1].append(entry)
    return list(parts.values())


def find(db: Session, render: Render, attempt_id: str) -> tuple[Chunk, AttemptLog] | None:
    """One attempt at a chunk of the render, with its log."""
    of_chunk = (Chunk.shot_id == render.shot_id, or_(Chunk.kind == "draw", Chunk.render_id == render.id))
    wanted = select(Chunk, AttemptLog).join(AttemptLog, AttemptLog.chunk_id == Chunk.id)
    row = db.execute(wanted.where(*of_chunk, AttemptLog.id == attempt_id)).one_or_none()
    return row and (row[0], row[1])


def _find(db: Session, chunk_id: str, attempt: int) -> AttemptLog | None:
    return db.scalar(select(AttemptLog).where(AttemptLog.chunk_id == chunk_id, AttemptLog.attempt == attempt))
