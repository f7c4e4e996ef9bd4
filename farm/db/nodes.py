"""Every query about nodes: which have joined, which are alive, which draw."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, String, and_, exists, func, literal, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from farm.db import clock
from farm.db.chunks import DRAWING, served_with
from farm.db.tables import Account, Chunk, Model, Node, Shot
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
    return list(db.scalars(select(Node.name).where(_has_tag(Node, literal(tag))).order_by(Node.name)))


def count_drawing(db: Session, tag: str | None = None) -> int:
    """The number of nodes that draw renders of an account bound to this tag, or bound to none."""
    bound = literal(tag, String)
    able = (_accepts_work(db, Node), serves(bound), begins_for(db, bound))
    return db.scalar(select(func.count()).select_from(Node).where(*able)) or 0


def begun_shots_wait(db: Session, engine: str, tags: Collection[str]) -> bool:
    """Whether shots that this engine has begun have waiting frames for a node with these tags.

    No other engine may draw them.
    """
    waits = (Chunk.state == "queued", Chunk.priority == DRAWING, Shot.engine == engine, served_with(tags))
    return db.scalar(select(Chunk.id).join(Shot, Shot.id == Chunk.shot_id).where(*waits).limit(1)) is not None


def orphaned_shots(db: Session) -> list[Shot]:
    """Shots with waiting frames that were begun by an engine which no node for their account has now.

    Not while no node at all works for the account. Nodes that may soon do so again count: they may just be restarting,
    or be checked and leave quarantine by themselves.
    """
    since = clock.now(db) - RESTART_GRACE
    sound = or_(Node.quarantined_at.is_(None), Node.quarantined_at > since)
    available = (Node.seen_at > since, Node.drain_at.is_(None), sound, serves(Account.node_tag))
    waiting = select(Chunk.shot_id).where(Chunk.state == "queued", Chunk.kind == "draw")
    begun = select(Shot).join(Model, Model.id == Shot.model_id).join(Account, Account.id == Model.account_id)
    orphaned = (
        exists().where(*available).correlate(Account),
        ~exists().where(*available, Node.engine == Shot.engine).correlate(Account, Shot),
    )
    return list(db.scalars(begun.where(Shot.engine.is_not(None), Shot.id.in_(waiting), *orphaned)))


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
    gpu = exists().where(_accepts_work(db, Node), Node.has_gpu)
    return node.has_gpu or node.always_draws or not db.scalar(select(gpu))


def drawn_tags(db: Session, node: Node) -> list[str]:
    """The tags of a node to which no GPU node that accepts work has been given: it draws for accounts bound to them."""
    return [tag for tag in node.tags if not db.scalar(select(_gpu_with(db, literal(tag))))]


def serves(tag: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """Whether a node works for accounts bound to this tag; all nodes do for those that are bound to none (NULL)."""
    return or_(tag.is_(None), _has_tag(Node, tag))


def begins_for(db: Session, tag: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """Whether a node that serves the accounts bound to this tag begins to draw their renders.

    One without a GPU does if no GPU node with the tag accepts work (see `drawn_tags`).
    """
    return or_(Node.draws, and_(tag.is_not(None), ~_gpu_with(db, tag)))


def may_work(db: Session, node: type[Node] = Node) -> ColumnElement[bool]:
    """Whether a node is alive, and neither drained nor in quarantine; it may be checked just now."""
    return and_(_alive(db, node), node.drain_at.is_(None), node.quarantined_at.is_(None))


def _gpu_with(db: Session, tag: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    gpu = aliased(Node)
    return select(gpu.id).where(_accepts_work(db, gpu), gpu.has_gpu, _has_tag(gpu, tag)).correlate_except(gpu).exists()


class _Elements(GenericFunction[Any]):
    """The elements of a JSON array, as a table with the column `value`."""

    name = "json_array_elements_text"
    inherit_cache = True


@compiles(_Elements, "sqlite")
def _as_json_each(elements: _Elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(elements.clauses, **options)})"


def _has_tag(node: type[Node], tag: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    tags = _Elements(node.tags).table_valued("value")
    return select(literal(1)).select_from(tags).where(tags.c.value == tag).correlate_except(tags).exists()


def _alive(db: Session, node: type[Node] = Node) -> ColumnElement[bool]:
    return and_(node.stopped_at.is_(None), node.seen_at > clock.now(db) - HEARTBEAT_TIMEOUT)


def _accepts_work(db: Session, node: type[Node]) -> ColumnElement[bool]:
    return and_(may_work(db, node), node.check_due_at.is_(None))
