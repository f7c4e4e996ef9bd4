"""Every query about chunks: which wait and in what order, which workers hold them, how long their frames took."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, ScalarSelect, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from farm.db import clock
from farm.db.tables import Account, Chunk, Model, Shot

# Priorities. A claim takes finishing first, then previews or drawing in turns (farm.scheduling.leases).
FINISHING, PREVIEW, DRAWING = 0, 1, 2
UNFINISHED = ("queued", "running")
# Chunks of a suspended account wait until it is resumed. Uncorrelated, so that it is evaluated once for all chunks.
NOT_SUSPENDED = Chunk.account_id.not_in(select(Account.id).where(Account.suspended_at.is_not(None)))
MEASURED_CHUNKS = 20  # the seconds per frame are the mean of this many latest chunks


def next_waiting(priority: int, engine: str, *, draws: bool, tags: Collection[str] = ()) -> ScalarSelect[str]:
    """The id of the chunk of a priority whose turn it is, locked with its shot.

    Skips chunks of accounts that are suspended, or bound to a tag other than `tags`; chunks that another transaction
    has locked; and frames of shots that another engine has begun. Without `draws` it also skips shots that no engine
    has begun, unless they are previews.
    """
    begins = draws or priority == PREVIEW
    mine = or_(Shot.engine == engine, Shot.engine.is_(None)) if begins else Shot.engine == engine
    return (
        select(Chunk.id)
        .join(Chunk.shot)
        .where(
            Chunk.state == "queued",
            Chunk.priority == priority,
            Chunk.account_id.not_in(select(Account.id).where(_not_for(tags))),
            or_(Chunk.kind == "finish", mine),
        )
        .order_by(Chunk.turn, Chunk.created_at)
        .limit(1)
        .with_for_update(of=[Chunk, Shot], skip_locked=True)
        .correlate(None)
        .scalar_subquery()
    )


def _not_for(tags: Collection[str]) -> ColumnElement[bool]:
    """Whether an account's chunks are not for a node with these tags now."""
    return or_(Account.suspended_at.is_not(None), and_(Account.node_tag.is_not(None), Account.node_tag.not_in(tags)))


def next_turn(db: Session, account_id: str, priority: int) -> int:
    """The turn of an account's next chunk: after its own last one, or the earliest turn if none of its chunks waits.

    Start-time fair queuing (Goyal, Vin and Cheng 1996) with a cost of 1 per chunk, as chunks take about the same time:
    an account that orders later shares the farm with accounts that queued many chunks before, instead of waiting for
    all of them.
    """
    waiting = (Chunk.state == "queued", Chunk.priority == priority)
    first = db.scalar(select(func.min(Chunk.turn)).where(*waiting, NOT_SUSPENDED)) or 0
    last = db.scalar(select(func.max(Chunk.turn)).where(*waiting, Chunk.account_id == account_id))
    return first if last is None else max(first, last + 1)


def count_waiting(db: Session, priority: int, *, limit: int, account_id: str | None = None) -> int:
    """The number of chunks that wait for a worker, of one account or of all, counted up to `limit`."""
    some = select(Chunk.id).where(Chunk.state == "queued", NOT_SUSPENDED, Chunk.priority == priority).limit(limit)
    if account_id:
        some = some.where(Chunk.account_id == account_id)
    return db.scalar(select(func.count()).select_from(some.subquery())) or 0


def bound_wait(db: Session, tags: Collection[str]) -> bool:
    """Whether chunks wait of accounts that are bound to one of these tags."""
    bound = Chunk.account_id.in_(select(Account.id).where(Account.node_tag.in_(tags)))
    return db.scalar(select(Chunk.id).where(Chunk.state == "queued", NOT_SUSPENDED, bound).limit(1)) is not None


def put_first(db: Session, shot_id: str) -> int:
    """Give the next turn to the waiting chunks of a locked shot, each in its priority. Returns how many wait."""
    waiting = [chunk for chunk in unfinished_of_shot(db, shot_id) if chunk.state == "queued"]
    for priority in {chunk.priority for chunk in waiting}:
        first = db.scalar(select(func.min(Chunk.turn)).where(Chunk.state == "queued", Chunk.priority == priority)) or 0
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
    """The mean over the latest chunks of this tier, on any node or by one engine; None when none was drawn yet."""
    wanted = select(Chunk.seconds, Chunk.frames).where(Chunk.tier == tier, Chunk.seconds > 0)
    if engine:
        wanted = wanted.join(Chunk.shot).where(Shot.engine == engine)
    latest = wanted.order_by(Chunk.created_at.desc()).limit(MEASURED_CHUNKS).subquery()
    seconds, frames = db.execute(select(func.sum(latest.c.seconds), func.sum(latest.c.frames))).one()
    return seconds / frames if frames else None


def orphaned_shots(db: Session, engines: Collection[str]) -> list[Shot]:
    """Shots with waiting frames that were begun by an engine other than these."""
    waits = exists().where(Chunk.shot_id == Shot.id, Chunk.state == "queued", Chunk.kind == "draw")
    return list(db.scalars(select(Shot).where(Shot.engine.is_not(None), Shot.engine.not_in(engines), waits)))


def lock_shot(db: Session, shot_id: str) -> None:
    """Lock a shot, its renders and its chunks against changes by other transactions until this one ends.

    Every transaction that changes more than one of these begins with this, or with a claim, which locks the shot too
    (farm.scheduling.leases), so that no two of them deadlock.
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
