"""Leases of chunks: the only module that writes a chunk's state, attempt and lease.

A worker claims the chunk whose turn it is and renews its lease while it works. Every attempt at a chunk has a number,
which serves as a fencing token: a worker with a number other than the row's is refused, so that a late worker can never
overwrite the results of a newer attempt.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from farm.db import attempt_logs, chunks, clock, counters, renders, retries
from farm.db.attempt_logs import Observer, Outcome
from farm.db.chunks import DRAWING, FINISHING, PREVIEW, UNFINISHED
from farm.db.session import after_commit, rows_changed
from farm.db.tables import Chunk, Render, Shot
from farm.errors import BadModel, Conflict, FarmError, OpeningTimeout, OverBudget, RenderFailed, WorkerLost
from farm.scene.shot import Engine
from farm.scheduling import render_status
from farm.scheduling.doorbell import Doorbell

log = structlog.get_logger()

# Turns by which a postponed chunk moves back. One would not be enough: of two chunks with the same turn the older one
# is claimed first.
POSTPONED_TURNS = 2

MAX_PAUSE_SECONDS = 600.0  # before a retry

WAKE_UPS = "wake_ups"  # in a session's info: numbers of wake-ups by priority, sent together after the commit


@dataclass(frozen=True)
class Claimant:
    """A worker that claims chunks, its engine, and whether it begins to draw more than previews.

    One with `draws` False still draws shots that its engine has begun, as no other engine may. With `drawing_first`
    previews have had their turn. `tags` are those of its node, to which accounts may be bound; for accounts bound to
    one of `drawn_tags` it begins to draw in any case.
    """

    worker: str
    engine: Engine
    draws: bool = True
    drawing_first: bool = False
    tags: tuple[str, ...] = ()
    drawn_tags: tuple[str, ...] = ()

    @property
    def priorities(self) -> list[int]:
        """The order in which it takes chunks: finishing is short, and paid for."""
        return [FINISHING, DRAWING, PREVIEW] if self.drawing_first else [FINISHING, PREVIEW, DRAWING]


class ClaimedRender(NamedTuple):
    """A snapshot of a render, made when a chunk of its shot was claimed."""

    id: str
    is_over: bool
    settings: dict[str, Any]


@dataclass(frozen=True)
class ClaimedChunk:
    """One attempt at a chunk, with all data that its worker needs, such as the spec of its shot and its renders.

    `model_key` is the storage key of the model's file, `model_sha256` that of its content, `account_id` its owner.
    `seconds_lost` is the time that earlier attempts took.
    """

    id: str
    attempt: int
    worker: str
    kind: str
    priority: int
    tier: str
    first_frame: int
    frames: int
    created_at: datetime
    claimed_at: datetime | None
    shot_id: str
    spec: dict[str, Any]
    model_key: str
    model_sha256: str
    account_id: str
    seconds_lost: float
    renders: list[ClaimedRender]

    @classmethod
    def from_row(cls, chunk: Chunk) -> "ClaimedChunk":
        return cls(
            id=chunk.id,
            attempt=chunk.attempt,
            worker=chunk.worker or "",
            kind=chunk.kind,
            priority=chunk.priority,
            tier=chunk.tier,
            first_frame=chunk.first_frame,
            frames=chunk.frames,
            created_at=chunk.created_at,
            claimed_at=chunk.claimed_at,
            shot_id=chunk.shot_id,
            spec=chunk.shot.spec,
            model_key=chunk.shot.model.storage_key,
            model_sha256=chunk.shot.model.sha256,
            account_id=chunk.shot.model.account_id,
            seconds_lost=chunk.seconds_lost,
            renders=[
                ClaimedRender(render.id, render.status in render_status.OVER, render.settings)
                for render in chunk.renders
            ],
        )


def claim_next(db: Session, claimant: Claimant, *, seconds: float) -> ClaimedChunk | None:
    """Lease the chunk whose turn it is to a worker, for `seconds`. None when no chunk waits that it can work on.

    A chunk that has failed on this worker's node is left to nodes on which it has not, while one is alive. The first
    claim of a shot's frames decides which engine draws all of them, and begins its renders.
    """
    options = {"synchronize_session": False, "populate_existing": True}
    at, held_back = clock.now(db), retries.held_back(db, claimant.worker)
    for priority in claimant.priorities:
        turn = chunks.next_waiting(
            priority,
            claimant.engine,
            draws=claimant.draws,
            held_back=held_back,
            tags=claimant.tags,
            drawn_tags=claimant.drawn_tags,
        )
        claim = (
            update(Chunk)
            .where(Chunk.id == turn)
            .values(
                state="running",
                worker=claimant.worker,
                claimed_at=at,
                lease_until=at + timedelta(seconds=seconds),
                due_at=None,
            )
            .returning(Chunk)
        )
        if chunk := db.scalars(claim, execution_options=options).one_or_none():
            break
    else:
        return None
    if chunk.kind == "draw":
        chunk.shot.engine = chunk.shot.engine or claimant.engine
        for render in chunk.renders:
            if render.status == "pending":
                render_status.advance(db, render, "poster-processing")
    return ClaimedChunk.from_row(chunk)


def renew(db: Session, chunk_id: str, attempt: int, *, frames_done: int, seconds: float) -> bool:
    """Extend a lease by `seconds`, counted from now. False when it was lost: the worker must stop its work."""
    until = clock.now(db) + timedelta(seconds=seconds)
    renewal = update(Chunk).where(*_held(chunk_id, attempt)).values(frames_done=frames_done, lease_until=until)
    return rows_changed(db, renewal) == 1


def complete(
    db: Session,
    doorbell: Doorbell,
    chunk: ClaimedChunk | Chunk,
    *,
    frames_done: int,
    drawing_seconds: float | None = None,
) -> set[str] | None:
    """End a claimed chunk, its shot locked. None when the lease was lost: its results do not count.

    Returns the ids of the shot's renders that are not over. `drawing_seconds` is given only if every frame was drawn.
    After a shot's last frame each of these renders gets a chunk that finishes it.
    """
    chunks.lock_shot(db, chunk.shot_id)
    done = (
        update(Chunk)
        .where(*_held(chunk.id, chunk.attempt))
        .values(state="done", frames_done=frames_done, seconds=drawing_seconds, lease_until=None)
    )
    if not rows_changed(db, done):
        return None
    _record_end(db, chunk, "finished", "worker")
    unfinished = [render for render in renders.of_shot(db, chunk.shot_id) if render.status not in render_status.OVER]
    if chunk.kind == "draw" and chunks.all_drawn(db, chunk.shot_id):
        for render in unfinished:
            finish = Chunk(shot_id=chunk.shot_id, render_id=render.id, kind="finish", tier=chunk.tier)
            queue(db, doorbell, [finish], render.account_id, FINISHING)
    return {render.id for render in unfinished}


def queue(db: Session, doorbell: Doorbell, new: Sequence[Chunk], account_id: str, priority: int) -> None:
    """Add new chunks to the queue, and wake a worker for each once the transaction is committed."""
    first_turn = chunks.next_turn(db, account_id, priority)
    for turn, chunk in enumerate(new, start=first_turn):
        chunk.account_id, chunk.priority, chunk.turn = account_id, priority, turn
    db.add_all(new)
    db.flush()
    _wake(db, doorbell, priority, len(new))


def fail(
    db: Session,
    doorbell: Doorbell,
    chunk_id: str,
    attempt: int,
    error: FarmError,
    *,
    max_attempts: int,
    retry_seconds: float = 0.0,
    was_working: bool = True,
    noticed_by: Observer = "worker",
) -> Chunk | None:
    """Record a failed attempt at a chunk.

    Returns the chunk if it is retried. A final error, or `max_attempts` failures, end it and the rest of its shot, and
    its renders with the error's message; not if all failures are of one node and another could take the chunk. Does
    nothing when the attempt is not the current one. If the node `was_working` until now, the attempt's time counts
    against the chunk's budget, and the retry waits `retry_seconds`, doubled for each earlier failure.
    """
    chunk = chunks.lock(db, chunk_id)
    if chunk is None or chunk.attempt != attempt or chunk.state not in UNFINISHED:
        return None
    chunk.failures += 1
    if chunk.state == "running":
        _record_end(db, chunk, "failed" if noticed_by == "worker" else "expired", noticed_by, error.message)
    if was_working and chunk.claimed_at:
        chunk.seconds_lost += (clock.now(db) - chunk.claimed_at).total_seconds()
    is_final = isinstance(error, RenderFailed) and error.is_final
    retried = not is_final and (chunk.failures < max_attempts or retries.is_one_nodes_fault(db, chunk))
    reason, then = type(error).__name__, "retried" if retried else "ended"
    counters.ATTEMPTS_FAILED.add(db, kind=chunk.kind, reason=reason, then=then, node=chunk.worker or "")
    if retried:
        _requeue(chunk)
        _free_engine(db, chunk)
        pause = min(retry_seconds * 2 ** (chunk.failures - 1), MAX_PAUSE_SECONDS) if was_working else 0.0
        chunk.due_at = clock.now(db) + timedelta(seconds=pause)
        if not pause:  # otherwise the reaper wakes a worker when it is due
            _wake(db, doorbell, chunk.priority)
        return chunk
    attempts = "" if is_final else f" ({chunk.failures} attempts)"
    for render in chunk.renders:
        render_status.advance(db, render, "error", message=error.message + attempts)
        if render.is_system_preview and isinstance(error, BadModel | OpeningTimeout | OverBudget):
            render.model.failed_at = clock.now(db)
    chunk.state, chunk.lease_until = "failed", None
    if chunk.kind == "draw":
        for other in chunks.of_shot(db, chunk.shot_id):
            _abandon(db, other, noticed_by, "Another part of the render failed")
    return None


def expire(db: Session, doorbell: Doorbell, chunk_id: str, attempt: int, *, max_attempts: int) -> Chunk | None:
    """Record an attempt whose lease has expired as failed, as `fail` does; not if it was renewed meanwhile."""
    chunk = chunks.lock(db, chunk_id)
    if chunk is None or chunk.lease_until is None or chunk.lease_until >= clock.now(db):
        return None
    return fail(
        db, doorbell, chunk_id, attempt, WorkerLost(), max_attempts=max_attempts, was_working=False, noticed_by="reaper"
    )


def release(db: Session, doorbell: Doorbell, chunk_id: str, attempt: int) -> Chunk | None:
    """End a lease early, so that another worker can claim the chunk; this does not count as a failure.

    Returns the chunk. Does nothing when the attempt is not the current one.
    """
    chunk = chunks.lock(db, chunk_id)
    if chunk is None or chunk.attempt != attempt or chunk.state != "running":
        return None
    _record_end(db, chunk, "released", "worker")
    _requeue(chunk)
    _wake(db, doorbell, chunk.priority)
    return chunk


def postpone(db: Session, chunk_id: str, attempt: int, reason: str) -> None:
    """Release a chunk because a service that the whole farm shares is down: the `reason` says which.

    The reaper wakes a worker for it. It moves back in the queue, so that a chunk that meets an outage every time does
    not block all others.
    """
    chunk = chunks.lock(db, chunk_id)
    if chunk and chunk.attempt == attempt and chunk.state == "running":
        _record_end(db, chunk, "postponed", "worker", reason)
        node = chunk.worker or ""
        counters.ATTEMPTS_FAILED.add(db, kind=chunk.kind, reason="Outage", then="retried", node=node)
        _requeue(chunk)
        chunk.turn += POSTPONED_TURNS


def cancel(db: Session, render: Render, message: str) -> None:
    """End a locked render as an error, with the chunks that no other render needs; their workers lose them.

    Raises Conflict when it is over.
    """
    if render.status in render_status.OVER:
        raise Conflict(f"The render {render.id} is over: its status is {render.status}")
    render_status.advance(db, render, "error", message=message)
    shared = any(other.status not in render_status.OVER for other in renders.of_shot(db, render.shot_id))
    for chunk in chunks.unfinished_of_shot(db, render.shot_id):
        if chunk.render_id == render.id or not shared:
            _abandon(db, chunk, "operator", message)


def start_over(db: Session, shot_id: str) -> None:
    """Let another engine draw an orphaned shot from its first frame: no video mixes frames of two engines."""
    chunks.lock_shot(db, shot_id)
    parts = chunks.of_shot(db, shot_id)
    states = {chunk.state for chunk in parts}
    if "queued" not in states or not states <= {"queued", "done"}:  # it changed before the lock
        return
    db.get_one(Shot, shot_id).engine = None
    for chunk in parts:
        renders.drop_segments_of_chunk(db, chunk.id)
        _requeue(chunk)


def _held(chunk_id: str, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return Chunk.id == chunk_id, Chunk.attempt == attempt, Chunk.state == "running"


def _record_end(
    db: Session, chunk: ClaimedChunk | Chunk, outcome: Outcome, noticed_by: Observer, reason: str | None = None
) -> None:
    attempt_logs.record_end(db, chunk.id, chunk.attempt, chunk.worker, chunk.claimed_at, outcome, noticed_by, reason)


def _abandon(db: Session, chunk: Chunk, noticed_by: Observer, reason: str) -> None:
    """End a chunk that is not over, as its render is; its worker loses it."""
    if chunk.state == "running":
        _record_end(db, chunk, "cancelled", noticed_by, reason)
    if chunk.state in UNFINISHED:
        chunk.state, chunk.lease_until = "failed", None


def _free_engine(db: Session, chunk: Chunk) -> None:
    """Let any engine retry a chunk if no other part of its shot is drawn, as no part must match it then."""
    if chunk.kind == "draw" and all(other.state == "queued" for other in chunks.of_shot(db, chunk.shot_id)):
        chunk.shot.engine = None


def _requeue(chunk: Chunk) -> None:
    # A worker that still works on the old attempt is refused by its number.
    chunk.state, chunk.attempt, chunk.frames_done = "queued", chunk.attempt + 1, 0
    chunk.lease_until = chunk.due_at = chunk.worker = None


def _wake(db: Session, doorbell: Doorbell, priority: int, number: int = 1) -> None:
    """Wake workers once the transaction is committed, as they do not see the chunks before."""
    wake_ups: Counter[int] = db.info.setdefault(WAKE_UPS, Counter())
    if not wake_ups:
        after_commit(db, partial(_send, doorbell, wake_ups))
    wake_ups[priority] += number


def _send(doorbell: Doorbell, wake_ups: Counter[int]) -> None:
    for priority, number in wake_ups.items():
        doorbell.wake(priority, number)
    wake_ups.clear()
