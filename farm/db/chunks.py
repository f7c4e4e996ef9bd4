"""Every query about chunks: which waits, whose turn it is, how long frames took."""

from collections.abc import Collection

from sqlalchemy import Boolean, and_, bindparam, exists, func, literal_column, or_, select
from sqlalchemy.orm import Session

from farm.db.session import send
from farm.db.tables import Chunk, Node, Shot

# What is done first: finishing what was drawn, and previews; then the drawing.
URGENT, DRAWING = 0, 1
MEASURED = 20  # chunks that the seconds a frame are taken from
UNFINISHED = ("queued", "running")

# What every chunk asks for is put together once: that takes as long as to have it answered.

_SENT_AWAY = exists().where(
    Node.name == bindparam("claimant"), or_(Node.drain_at.is_not(None), Node.quarantined_at.is_not(None))
)
# The chunk whose turn it is, locked with its shot; those that somebody else locks are passed over. So are shots that
# another engine than `engine` has begun, and those that none has begun, where `draws` is false and they are not urgent.
# There is none for a `claimant` that was drained or quarantined meanwhile.
FIRST_WAITING = (
    select(Chunk.id)
    .join(Chunk.shot)
    .where(
        Chunk.state == "queued",
        ~_SENT_AWAY,
        or_(
            Chunk.kind == "finish",
            Shot.engine == bindparam("engine"),
            and_(Shot.engine.is_(None), or_(Chunk.priority == URGENT, bindparam("draws", type_=Boolean))),
        ),
    )
    .order_by(Chunk.priority, Chunk.turn, Chunk.created_at)
    .limit(literal_column("1"))  # in plain sight of a plan that is made once, for whatever is bound
    .with_for_update(of=[Chunk, Shot], skip_locked=True)
    .correlate(None)
    .scalar_subquery()
)
# The last turn of what waits of an account, and the first of what waits at all.
_WAITS = (Chunk.state == "queued", Chunk.priority == bindparam("priority"))
_TURNS = select(
    select(func.max(Chunk.turn))
    .where(*_WAITS, Chunk.account_id == bindparam("account_id"))
    .scalar_subquery()
    .label("last"),
    select(func.min(Chunk.turn)).where(*_WAITS).scalar_subquery().label("first"),
)
_LOCKED_SHOT = select(Shot.id).where(Shot.id == bindparam("shot_id")).with_for_update()


def next_turn(db: Session, account_id: str, priority: int) -> int:
    """The turn of an account's next chunk: after its own last, or at once where it has none waiting.

    Start-time fair queuing (Goyal, Vin and Cheng 1996) with a cost of 1 a chunk, as chunks take about the same time:
    whoever comes later is served beside those who queued much before, not behind all that they queued.
    """
    turns = send(db, _TURNS, {"priority": priority, "account_id": account_id}).one()
    first: int = turns.first or 0
    return first if turns.last is None else max(first, turns.last + 1)


def waiting(db: Session, priority: int, *, at_most: int) -> int:
    """How many chunks wait; counting ends at `at_most`."""
    some = select(Chunk.id).where(Chunk.state == "queued", Chunk.priority == priority).limit(at_most)
    return db.scalar(select(func.count()).select_from(some.subquery())) or 0


def seconds_a_frame(db: Session, tier: str) -> float | None:
    """What a frame of this tier took lately, on whichever node; None when none was drawn."""
    lately = (
        select(Chunk.seconds, Chunk.frames)
        .where(Chunk.tier == tier, Chunk.seconds > 0)
        .order_by(Chunk.created_at.desc())
        .limit(MEASURED)
        .subquery()
    )
    seconds, frames = db.execute(select(func.sum(lately.c.seconds), func.sum(lately.c.frames))).one()
    return seconds / frames if frames else None


def left_alone(db: Session, engines: Collection[str]) -> list[Shot]:
    """Shots with frames that wait, begun by an engine that is none of these."""
    waits = exists().where(Chunk.shot_id == Shot.id, Chunk.state == "queued", Chunk.kind == "draw")
    return list(db.scalars(select(Shot).where(Shot.engine.is_not(None), Shot.engine.not_in(engines), waits)))


def lock_shot(db: Session, shot_id: str) -> None:
    """Let nobody else change anything of a shot, its renders and its chunks until this transaction ends.

    Every transaction that changes more than one of these begins with this, or with the claim or the end of a chunk,
    which lock its shot, too (farm.scheduling.leases): so no two wait for each other.
    """
    send(db, _LOCKED_SHOT, {"shot_id": shot_id})
