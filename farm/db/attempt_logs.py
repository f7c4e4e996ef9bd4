"""Every query about what was said in the attempts at chunks."""

from sqlalchemy import insert, or_, select
from sqlalchemy.orm import Session

from farm.db.session import later
from farm.db.tables import AttemptLog, Chunk, Render

_STORE = insert(AttemptLog)


def store(db: Session, chunk_id: str, attempt: int, worker: str, text: str) -> None:
    """Keep an attempt's log. Its transaction ends with IntegrityError when it is kept already, or the chunk deleted."""
    text = text.replace("\0", "")  # which PostgreSQL takes in no text
    later(db, _STORE, {"chunk_id": chunk_id, "attempt": attempt, "worker": worker, "text": text})


def of_render(db: Session, render: Render) -> list[tuple[Chunk, list[AttemptLog]]]:
    """The chunks that a render is made of, in the order of its frames and the finishing last, each with its logs."""
    its_own = or_(Chunk.kind == "draw", Chunk.render_id == render.id)
    wanted = select(Chunk).where(Chunk.shot_id == render.shot_id, its_own).order_by(Chunk.kind, Chunk.first_frame)
    parts: dict[str, tuple[Chunk, list[AttemptLog]]] = {chunk.id: (chunk, []) for chunk in db.scalars(wanted)}
    for entry in db.scalars(
        select(AttemptLog).where(AttemptLog.chunk_id.in_(list(parts))).order_by(AttemptLog.attempt)
    ):
        parts[entry.chunk_id][1].append(entry)
    return list(parts.values())
