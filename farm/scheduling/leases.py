"""Who may work on a chunk: the only place that writes a chunk's state, attempt and lease.

A worker claims the chunk whose turn it is and renews its lease while it works. Whoever comes with another attempt
number than the row holds is refused: a late worker can never overwrite what a newer one does (fencing).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from farm.db import chunks, counters, renders
from farm.db.chunks import DRAWING, UNFINISHED, URGENT
from farm.db.session import send
from farm.db.tables import Chunk, Model, Render, Segment, Shot, now
from farm.errors import BadModel, FarmError
from farm.scene.shot import Engine
from farm.scheduling import render_status

log = structlog.get_logger()

TURNS_PASSED_OVER = 2  # which is the next of every account, as the older of two chunks with the same turn comes first

_CLAIM = (
    update(Chunk)
    .where(Chunk.id == chunks.FIRST_WAITING)
    .returning(
        *(Chunk.id, Chunk.attempt, Chunk.kind, Chunk.tier, Chunk.first_frame, Chunk.frames, Chunk.created_at),
        *(Chunk.shot_id, Chunk.render_id),
    )
)
_WHAT_IT_IS_FOR = (
    select(Shot.engine, Shot.spec, Model.storage_key, Render.id, Render.status, Render.settings)
    .join(Shot.model)
    .join(Shot.renders, isouter=True)  # a chunk without one, wherever it came from, must not stop those behind it
    .where(Shot.id == bindparam("shot_id"))
    .order_by(*Shot.renders.property.order_by)
)
_SETTLE_ENGINE = update(Shot).where(Shot.id == bindparam("shot_id"))
# Change a running chunk, and nothing when the attempt is over.
_RUNNING = update(Chunk).where(
    Chunk.id == bindparam("chunk_id"), Chunk.attempt == bindparam("its_attempt"), Chunk.state == "running"
)
# The same, its shot locked first: what is read after it sees all that others did to the shot.
_ENDED = _RUNNING.where(
    Chunk.shot_id == select(Shot.id).where(Shot.id == bindparam("its_shot")).with_for_update().scalar_subquery()
)


@dataclass(frozen=True)
class Claimant:
    """Who asks for work: a worker, the engine it draws with, and whether it begins to draw more than previews.

    One that does not goes on nevertheless with what its engine has begun, which no other engine may finish.
    """

    worker: str
    engine: Engine
    draws: bool = True

    @property
    def priorities(self) -> list[int]:
        return [URGENT, DRAWING] if self.draws else [URGENT]


class ClaimedRender(NamedTuple):
    """A render as it was when a chunk of its shot was claimed."""

    id: str
    is_over: bool
    settings: dict[str, Any]


@dataclass(frozen=True)
class ClaimedChunk:
    """One attempt at a chunk, and what its worker has to know: `spec` is its shot's, `renders` those that it is for.

    `model_key` is where the storage has the model's file.
    """

    id: str
    attempt: int
    worker: str
    kind: str
    tier: str
    first_frame: int
    frames: int
    created_at: datetime
    shot_id: str
    spec: dict[str, Any]
    model_key: str
    renders: list[ClaimedRender]


class Completion(NamedTuple):
    """What became of a chunk's end: the renders of its shot that are not over, and the chunks that finish them."""

    wanted: set[str]
    finishes: list[Chunk]


def claim_next(db: Session, claimant: Claimant, *, seconds: float) -> ClaimedChunk | None:
    """Give a worker the chunk whose turn it is, for `seconds`. None when nothing that it can do waits, or it may not.

    The first claim of a shot's frames settles which engine draws all of them, and begins its renders.
    """
    asked = {"claimant": claimant.worker, "engine": claimant.engine, "draws": claimant.draws}
    claim = {"state": "running", "worker": claimant.worker, "lease_until": _in(seconds)}
    chunk = send(db, _CLAIM, asked | claim).one_or_none()
    if chunk is None:
        return None
    rows = send(db, _WHAT_IT_IS_FOR, {"shot_id": chunk.shot_id}).all()
    shot = rows[0]
    if chunk.kind == "draw" and shot.engine is None:
        send(db, _SETTLE_ENGINE, {"shot_id": chunk.shot_id, "engine": claimant.engine})
    if chunk.kind == "draw" and any(row.status == "pending" for row in rows):
        render_status.begin(db, chunk.shot_id)
    return ClaimedChunk(
        id=chunk.id,
        attempt=chunk.attempt,
        worker=claimant.worker,
        kind=chunk.kind,
        tier=chunk.tier,
        first_frame=chunk.first_frame,
        frames=chunk.frames,
        created_at=chunk.created_at,
        shot_id=chunk.shot_id,
        spec=shot.spec,
        model_key=shot.storage_key,
        renders=[
            ClaimedRender(row.id, row.status in render_status.OVER, row.settings)
            for row in rows
            if row.id and chunk.render_id in (None, row.id)
        ],
    )


def renew(db: Session, chunk_id: str, attempt: int, *, frames_done: int, seconds: float) -> bool:
    """Keep a claimed chunk for another `seconds`. False when the claim was lost: then stop working on it."""
    claim = {"chunk_id": chunk_id, "its_attempt": attempt}
    return bool(send(db, _RUNNING, claim | {"frames_done": frames_done, "lease_until": _in(seconds)}).rowcount)


def complete(
    db: Session, chunk: ClaimedChunk | Chunk, *, frames_done: int, took: float | None = None
) -> Completion | None:
    """End a claimed chunk and lock its shot. None when the claim was lost: then its results do not count.

    `took` is the seconds of drawing, where every frame was drawn. After a shot's last frame each of its renders gets a
    chunk that finishes it, which waits from now on.
    """
    claim = {"chunk_id": chunk.id, "its_attempt": chunk.attempt, "its_shot": chunk.shot_id}
    ended = {"state": "done", "frames_done": frames_done, "seconds": took, "lease_until": None}
    if not send(db, _ENDED, claim | ended).rowcount:
        return None
    of_shot, finishes = renders.of_shot(db, chunk.shot_id), []
    if chunk.kind == "draw" and of_shot and of_shot[0].is_drawn:
        for render in of_shot:
            if render.status not in render_status.OVER:
                finish = Chunk(shot_id=chunk.shot_id, render_id=render.id, kind="finish", tier=chunk.tier)
                queue(db, [finish], render.account_id, URGENT)
                finishes.append(finish)
    return Completion({render.id for render in of_shot if render.status not in render_status.OVER}, finishes)


def queue(db: Session, new: Sequence[Chunk], account_id: str, priority: int) -> None:
    """Let new chunks wait for their turns."""
    turn = chunks.next_turn(db, account_id, priority)
    for chunk in new:
        chunk.account_id, chunk.priority, chunk.turn = account_id, priority, turn
        turn += 1
    db.add_all(new)
    db.flush()


def fail(db: Session, chunk_id: str, attempt: int, error: FarmError, *, attempts: int) -> Chunk | None:
    """Give a chunk back after an attempt went wrong.

    Returns the chunk when it shall be tried again. A fault of the model, or as many failures as `attempts`, ends it,
    its renders with the error's message, and the shot. Does nothing when the attempt is not the current one.
    """
    chunk = _locked(db, chunk_id)
    if chunk is None or chunk.attempt != attempt or chunk.state not in UNFINISHED:
        return None
    chunk.failures += 1
    retried = not isinstance(error, BadModel) and chunk.failures < attempts
    reason, then = type(error).__name__, "retried" if retried else "ended"
    counters.ATTEMPTS_FAILED.add(db, kind=chunk.kind, reason=reason, then=then)
    if retried:
        return _requeue(chunk)
    chunk.state, chunk.lease_until = "failed", None
    tries = "" if isinstance(error, BadModel) else f" ({chunk.failures} attempts)"
    for render in chunk.renders:
        render_status.advance(db, render, "error", message=error.message + tries)
    if chunk.kind == "draw":
        rest = (Chunk.shot_id == chunk.shot_id, Chunk.state.in_(UNFINISHED))
        db.execute(update(Chunk).where(*rest).values(state="failed", lease_until=None))
    return None


def start_over(db: Session, shot_id: str) -> None:
    """Let another engine draw a shot that nobody can go on with, and give up what was drawn: no video mixes two."""
    chunks.lock_shot(db, shot_id)
    parts = list(db.scalars(select(Chunk).where(Chunk.shot_id == shot_id, Chunk.kind == "draw")))
    if not parts or any(chunk.state == "running" for chunk in parts):
        return
    db.get_one(Shot, shot_id).engine = None
    for chunk in parts:
        db.execute(delete(Segment).where(Segment.chunk_id == chunk.id))
        _requeue(chunk)


def release(db: Session, chunk_id: str, attempt: int) -> Chunk | None:
    """Give a chunk back that its worker has no time for. That is nobody's fault and counts as no failure.

    Returns the chunk; does nothing when the attempt is not the current one.
    """
    chunk = _locked(db, chunk_id)
    if chunk is None or chunk.attempt != attempt or chunk.state != "running":
        return None
    return _requeue(chunk)


def postpone(db: Session, chunk_id: str, attempt: int) -> None:
    """Give a chunk back because something that the whole farm shares is out of order. That counts as no failure.

    One that meets with it again and again lets others pass each time, lest it keeps all of them waiting.
    """
    if chunk := release(db, chunk_id, attempt):
        chunk.turn += TURNS_PASSED_OVER
        counters.ATTEMPTS_FAILED.add(db, kind=chunk.kind, reason="Outage", then="retried")


def held(db: Session, worker: str) -> list[Chunk]:
    """What a worker works on: to be taken back with `fail` or `release`, each in a transaction of its own.

    One that takes back several locks shots and accounts by turns, and could wait for a client's that waits for it.
    """
    return list(db.scalars(select(Chunk).where(Chunk.state == "running", Chunk.worker == worker)))


def lapsed(db: Session) -> list[Chunk]:
    """Chunks whose worker fell silent, to be taken back like those of `held`."""
    return list(db.scalars(select(Chunk).where(Chunk.state == "running", Chunk.lease_until < now())))


def _locked(db: Session, chunk_id: str) -> Chunk | None:
    """The chunk as it is now, its shot locked."""
    if shot_id := db.scalar(select(Chunk.shot_id).where(Chunk.id == chunk_id)):
        chunks.lock_shot(db, shot_id)
    return db.get(Chunk, chunk_id, with_for_update=True, populate_existing=True)


def _requeue(chunk: Chunk) -> Chunk:
    # A new attempt number fences off whoever may still work on the old one.
    chunk.state, chunk.attempt, chunk.frames_done = "queued", chunk.attempt + 1, 0
    chunk.lease_until = chunk.worker = None
    return chunk


def _in(seconds: float) -> datetime:
    return now() + timedelta(seconds=seconds)
