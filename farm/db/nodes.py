"""Every query about nodes: which have joined, which are alive, which draw."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from farm.db import clock
from farm.db.chunks import DRAWING, NOT_SUSPENDED
from farm.db.tables import Chunk, Node, Shot
from farm.errors import NotFound

HEARTBEAT_TIMEOUT = timedelta(seconds=20)  # four missed heartbeats: the node counts as gone
RESTART_GRACE = timedelta(minutes=10)  # the last node of an engine may just be restarting, or soon leave quarantine


def named(db: Session, name: str, *, lock: bool = False) -> Node:
    """Raises NotFound."""
    node = find(db, name, lock=lock)
    if node is None:
        raise NotFound(f"There is no node {name}. `farm nodes list` shows all")
    return node


def find(db: Session, name: str, *, lock: bool = False) -> Node | None:
    wanted = select(Node).where(Node.name == name)
    return db.scalar(wanted.with_for_update() if lock else wanted)


def every(db: Session) -> list[tuple[Node, Chunk | None]]:
    """All nodes by name, each with the chunk that it works on, if any."""
    works = and_(Chunk.worker == Node.name, Chunk.state == "running")
    rows = db.execute(select(Node, Chunk).outerjoin(Chunk, works).order_by(Node.name, Chunk.lease_until.desc()))
    newest: dict[str, tuple[Node, Chunk | None]] = {}
    for node, chunk in rows:
        newest.setdefault(node.name, (node, chunk))
    return list(newest.values())


def alive(db: Session) -> list[Node]:
    return list(db.scalars(select(Node).where(_alive(db)).order_by(Node.name)))


def with_tag(db: Session, tag: str) -> list[str]:
    """The names of the nodes with a tag."""
    return [node.name for node, _ in every(db) if tag in node.tags]


def count_drawing(db: Session) -> int:
    """The number of nodes that draw renders."""
    return db.scalar(select(func.count()).select_from(Node).where(_accepts_work(db), Node.draws)) or 0


def begun_shots_wait(db: Session, engine: str) -> bool:
    """Whether shots that this engine has begun have waiting frames, which no other engine may draw."""
    waits = (Chunk.state == "queued", Chunk.priority == DRAWING, Shot.engine == engine, NOT_SUSPENDED)
    return db.scalar(select(Chunk.id).join(Shot, Shot.id == Chunk.shot_id).where(*waits).limit(1)) is not None


def engines_available(db: Session) -> set[str]:
    """The engines of the nodes that accept work, including nodes that may soon do so again.

    They may just be restarting, or be checked and leave quarantine by themselves.
    """
    since = clock.now(db) - RESTART_GRACE
    sound = or_(Node.quarantined_at.is_(None), Node.quarantined_at > since)
    return set(db.scalars(select(Node.engine).where(Node.seen_at > since, Node.drain_at.is_(None), sound)))


def is_alive(node: Node, at: datetime) -> bool:
    """Whether the node has not stopped, and its last heartbeat is recent, `at` a time by the database's clock."""
    return node.stopped_at is None and node.seen_at > at - HEARTBEAT_TIMEOUT


def failures_elsewhere(db: Session, name: str) -> list[list[list[str]]]:
    """The recorded failures of all nodes but this one: for each node a list of (SHA-256, account id, time, message)."""
    others = db.scalars(select(Node.failures).where(Node.name != name, Node.failures.is_not(None)))
    return [failures for failures in others if failures]


def forget_failures(db: Session, account_id: str) -> None:
    """Remove the recorded failures of an account's models from all nodes."""
    failed = select(Node).where(Node.failures.is_not(None)).order_by(Node.name).with_for_update()
    for node in db.scalars(failed):
        node.failures = [failure for failure in node.failures or [] if failure[1] != account_id] or None


def draws(db: Session, node: Node) -> bool:
    """Whether a node draws renders: one with a GPU does; one without if no GPU accepts work, or if it always draws."""
    return node.has_gpu or node.always_draws or not db.scalar(select(exists().where(_accepts_work(db), Node.has_gpu)))


def _alive(db: Session) -> ColumnElement[bool]:
    return and_(Node.stopped_at.is_(None), Node.seen_at > clock.now(db) - HEARTBEAT_TIMEOUT)


def _accepts_work(db: Session) -> ColumnElement[bool]:
    return and_(_alive(db), Node.drain_at.is_(None), Node.quarantined_at.is_(None), Node.check_due_at.is_(None))
