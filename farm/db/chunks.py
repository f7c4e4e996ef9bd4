"""Every query about chunks: which wait and in what order, which workers hold them, how long their frames took."""

from collections import defaultdict
from collections.abc import Collection
from statistics import median_low

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, exists, func, or_, select, true, update
from sqlalchemy.orm import Session

from farm.db import clock
from farm.db.tables import Account, Chunk, Model, Shot

# Priorities. A claim takes finishing first, then previews or drawing in turns (farm.scheduling.leases).
FINISHING, PREVIEW, DRAWING = 0, 1, 2
UNFINISHED = ("queued", "running")
# Chunks of a suspended account wait until it is resumed. Uncorrelated, so that it is evaluated once for all chunks.
NOT_SUSPENDED = Chunk.account_id.not_in(select(Account.id).where(Account.suspended_at.is_not(None)))
DUE = or_(Chunk.due_at.is_(None), Chunk.due_at <= func.clock_timestamp())
MEASURED_CHUNKS = 200  # the latest ones of a tier, of which each account counts with
MEASURED_CHUNKS_PER_ACCOUNT = 20


def next_waiting(
    priority: int,
    engine: str,
    *,
    draws: bool,
    held_back: Select[str],
    tags: Collection[str] = (),
    drawn_tags: Collection[str] = (),
) -> ScalarSelect[str]:
    """The id of the chunk of a priority whose turn it is, locked with its shot.

    Skips chunks of accounts that are suspended, or bound to a tag other than `tags`; chunks that another transaction
    has locked; and frames of shots that another engine has begun. Without `draws` it also skips shots that no engine
    has begun, unless they are previews, or of accounts bound to one of `drawn_tags`. It skips those that are
    `held_back`, too.
    """
    begins = true() if draws or priority == PREVIEW else _bound_to(drawn_tags)
    mine = or_(Shot.engine == engine, and_(Shot.engine.is_(None), begins))
    return (
        select(Chunk.id)
        .join(Chunk.shot)
        .where(
            Chunk.state == "queued",
            Chunk.priority == priority,
            served_with(tags),
            Chunk.id.not_in(held_back),
            or_(Chunk.kind == "finish", mine),
        )
        .order_by(Chunk.turn, Chunk.created_at)
        .limit(1)
        .with_for_update(of=[Chunk, Shot], skip_locked=True)
        .correlate(None)
        .scalar_subquery()
    )


def served_with(tags: Collection[str]) -> ColumnElement[bool]:
    """Whether a node with these tags works for a chunk's account: it is not suspended, nor bound to another tag."""
    bound_elsewhere = and_(Account.node_tag.is_not(None), Account.node_tag.not_in(tags))
    unserved = select(Account.id).where(or_(Account.suspended_at.is_not(None), bound_elsewhere))
    return Chunk.account_id.not_in(unserved)


def _bound_to(tags: Collection[str]) -> ColumnElement[bool]:
    return Chunk.account_id.in_(select(Account.id).where(Account.node_tag.in_(tags)))


def next_turn(db: Session, account_id: str, priority: int) -> int:
    """The turn of an account's next chunk: after its own last one, or the earliest turn if none of its chunks waits.

    Start-time fair queuing (Goyal, Vin and Cheng 1996) with a cost of 1 per chunk, as chunks take about the same time:
    an account that orders later shares the farm with accounts that queued many chunks before, instead of waiting for
    all of them.
    """
    own = (Chunk.state == "queued", Chunk.priority == priority, Chunk.account_id == account_id)
    first = _first_turn(db, account_id, priority) or 0
    last = db.scalar(select(func.max(Chunk.turn)).where(*own))
    return first if last is None else max(first, last + 1)


def _first_turn(db: Session, account_id: str, priority: int, *, without_own: bool = False) -> int | None:
    """The earliest turn of the chunks that wait, beside which an account's own are to be placed. None if there is none.

    Chunks that are bound to another tag count only if there are no others: they may have waited for its nodes for long.
    """
    tag = db.scalar(select(Account.node_tag).where(Account.id == account_id))
    waiting = [Chunk.state == "queued", Chunk.priority == priority]
    if without_own:
        waiting.append(Chunk.account_id != account_id)
    for served in (served_with([tag] if tag else []), NOT_SUSPENDED):
        first: int | None = db.scalar(select(func.min(Chunk.turn)).where(*waiting, served))
        if first is not None:
            return first
    return None


def move_back(db: Session, account_id: str) -> None:
    """Move the waiting chunks of an account that had to wait behind the first turn of the others.

    They have kept turns that have long passed, and would all be drawn before any other account's.
    """
    own = (Chunk.state == "queued", Chunk.account_id == account_id)
    shots = select(Shot.id).where(Shot.id.in_(select(Chunk.shot_id).where(*own)))
    db.execute(shots.order_by(Shot.id).with_for_update())
    for priority in (FINISHING, PREVIEW, DRAWING):
        first = _first_turn(db, account_id, priority, without_own=True)
        own_first = db.scalar(select(func.min(Chunk.turn)).where(*own, Chunk.priority == priority))
        if first is not None and own_first is not None and own_first < first:
            turn = Chunk.turn + (first - own_first + 1)
            db.execute(update(Chunk).where(*own, Chunk.priority == priority).values(turn=turn))


def count_waiting(
    db: Session, priority: int, *, limit: int, account_id: str | None = None, tags: Collection[str] = ()
) -> int:
    """The number of chunks that wait for a worker, counted up to `limit`.

    Those of one account, or those that a node with `tags` works for.
    """
    some = select(Chunk.id).where(Chunk.state == "queued", DUE, Chunk.priority == priority).limit(limit)
    some = some.where(NOT_SUSPENDED, Chunk.account_id == account_id) if account_id else some.where(served_with(tags))
    return db.scalar(select(func.count()).select_from(some.subquery())) or 0


def bound_wait(db: Session, tags: Collection[str]) -> bool:
    """Whether chunks wait of accounts that are bound to one of these tags."""
    waits = (Chunk.state == "queued", DUE, NOT_SUSPENDED, _bound_to(tags))
    return db.scalar(select(Chunk.id).where(*waits).limit(1)) is not None


def put_first(db: Session, account_id: str, shot_id: str) -> int:
    """Give the next turn to the waiting chunks of an account's locked shot, each in its priority.

    Returns how many wait.
    """
    waiting = [chunk for chunk in unfinished_of_shot(db, shot_id) if chunk.state == "queued"]
    for priority in {chunk.priority for chunk in waiting}:
        first = _first_turn(db, account_id, priority) or 0
        for chunk in waiting:
            if chunk.priority == priority:
                chunk.turn = first - 1
    return len(waiting)


def held_by(db: Session, worker: str) -> list[Chunk]:
    """The chunks that a worker holds."""
    return list(db.scalars(select(Chunk).where(Chunk.state == "running", Chunk.worker == worker)))


def expired(db: Session) -> list[Chunk]:
    """The chunks whose lease was not renewed in time."""
    return list(db.scalars(select(Chunk).where(Chunk.state == "running", Chunk.lease_until < clock.now(db))))


def of_shot(db: Session, shot_id: str) -> list[Chunk]:
    """The chunks that draw a shot, in the order of their frames."""
    drawing = (Chunk.shot_id == shot_id, Chunk.kind == "draw")
    return list(db.scalars(select(Chunk).where(*drawing).order_by(Chunk.first_frame)))


def unfinished_of_shot(db: Session, shot_id: str) -> list[Chunk]:
    """The chunks of a shot that wait or run, also those that finish its renders."""
    return list(db.scalars(select(Chunk).where(Chunk.shot_id == shot_id, Chunk.state.in_(UNFINISHED))))


def all_drawn(db: Session, shot_id: str) -> bool:
    undrawn = exists().where(Chunk.shot_id == shot_id, Chunk.kind == "draw", Chunk.state != "done")
    return not db.scalar(select(undrawn))


def seconds_per_frame(db: Session, tier: str, engine: str | None = None) -> float | None:
    """What the latest chunks of this tier took, on any node or by one engine; None when none was drawn yet.

    The lower median over accounts of the mean of each, so that slow renders of one account say nothing of others'.
    """
    wanted = select(Chunk.account_id, Chunk.seconds, Chunk.frames).where(Chunk.tier == tier, Chunk.seconds > 0)
    if engine:
        wanted = wanted.join(Chunk.shot).where(Shot.engine == engine)
    measured: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for account_id, seconds, frames in db.execute(wanted.order_by(Chunk.created_at.desc()).limit(MEASURED_CHUNKS)):
        if len(measured[account_id]) < MEASURED_CHUNKS_PER_ACCOUNT:
            measured[account_id].append((seconds or 0.0, frames))
    means = [sum(seconds for seconds, _ in some) / sum(frames for _, frames in some) for some in measured.values()]
    return median_low(means) if means else None


def lock_shot(db: Session, shot_id: str) -> None:
    """Lock a shot, its renders and its chunks against changes by other transactions until this one ends.

    Every transaction that changes more than one of these, or one of these and its model, begins with this, or with a
    claim, which locks the shot too (farm.scheduling.leases), so that no two of them deadlock.
    """
    db.execute(select(Shot.id).where(Shot.id == shot_id).with_for_update())


def lock(db: Session, chunk_id: str) -> Chunk | None:
    """The chunk as it is now, its shot locked; None when it was deleted."""
    if shot_id := db.scalar(select(Chunk.shot_id).where(Chunk.id == chunk_id)):
        lock_shot(db, shot_id)
    return db.get(Chunk, chunk_id, with_for_update=True, populate_existing=True)


def model(db: Session, shot_id: str) -> Model | None:
    """The model of a shot; None when the shot was deleted."""
    return db.scalar(select(Model).join(Shot, Shot.model_id == Model.id).where(Shot.id == shot_id))
