"""Every query about the logs of attempts at chunks."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from farm.db.tables import AttemptLog, Chunk, Render


def store(db: Session, chunk_id: str, attempt: int, worker: str, text: str) -> None:
    """Store an attempt's log. Raises IntegrityError on flush when it is stored already, or the chunk was deleted."""
    text = text.replace("\0", "")  # PostgreSQL rejects text with NUL characters
    db.add(AttemptLog(chunk_id=chunk_id, attempt=attempt, worker=worker, text=text))


def of_render(db: Session, render: Render) -> list[tuple[Chunk, list[AttemptLog]]]:
    """The chunks of a render in the order of its frames, the finishing one last, each with the logs of its attempts."""
    its_own = or_(Chunk.kind == "draw", Chunk.render_id == render.id)
    wanted = select(Chunk).where(Chunk.shot_id == render.shot_id, its_own).order_by(Chunk.kind, Chunk.first_frame)
    parts: dict[str, tuple[Chunk, list[AttemptLog]]] = {chunk.id: (chunk, []) for chunk in db.scalars(wanted)}
    for entry in db.scalars(
        select(AttemptLog).where(AttemptLog.chunk_id.in_(list(parts))).order_by(AttemptLog.attempt)
    ):
        parts[entry.chunk_id][1].append(entry)
    return list(parts.values())
