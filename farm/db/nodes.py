"""Every query about nodes: which are there, which live, which draw."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from farm.db.chunks import DRAWING
from farm.db.tables import Chunk, Node, Shot, now
from farm.errors import NotFound

PATIENCE = timedelta(minutes=10)  # with the last node of an engine: it may just be starting again
SILENCE = timedelta(seconds=20)  # four heartbeats missed: it counts as gone


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
    """All nodes by name, each with the chunk that it works on."""
    works = and_(Chunk.worker == Node.name, Chunk.state == "running")
    rows = db.execute(select(Node, Chunk).outerjoin(Chunk, works).order_by(Node.name, Chunk.lease_until.desc()))
    newest: dict[str, tuple[Node, Chunk | None]] = {}
    for node, chunk in rows:
        newest.setdefault(node.name, (node, chunk))
    return list(newest.values())


def alive(db: Session) -> list[Node]:
    return list(db.scalars(select(Node).where(_alive()).order_by(Node.name)))


def drawing(db: Session) -> int:
    """How many nodes there are to draw a render."""
    return db.scalar(select(func.count()).select_from(Node).where(_works(), Node.draws)) or 0


def begun_shots_wait(db: Session, engine: str) -> bool:
    """Whether frames wait of shots that this engine has begun, and that no other may go on with."""
    waits = (Chunk.state == "queued", Chunk.priority == DRAWING, Shot.engine == engine)
    return db.scalar(select(Chunk.id).join(Shot, Shot.id == Chunk.shot_id).where(*waits).limit(1)) is not None


def engines_lately(db: Session) -> set[str]:
    """The engines of the nodes that take work, or would, had they not fallen silent a moment ago."""
    willing = (Node.seen_at > now() - PATIENCE, Node.drain_at.is_(None), Node.quarantined_at.is_(None))
    return set(db.scalars(select(Node.engine).where(*willing)))


def is_alive(node: Node) -> bool:
    """As far as one can tell: it has not said goodbye, and was heard of lately."""
    return node.stopped_at is None and node.seen_at > _latest()


def _alive(node: type[Node] = Node) -> ColumnElement[bool]:
    return and_(node.stopped_at.is_(None), node.seen_at > bindparam("latest", callable_=_latest))


def _works(node: type[Node] = Node) -> ColumnElement[bool]:
    return and_(_alive(node), node.drain_at.is_(None), node.quarantined_at.is_(None))


def _latest() -> datetime:
    return now() - SILENCE


# A GPU is for drawing. A processor draws where no GPU takes work, or when told to.
_OTHER = aliased(Node)
DRAWS = or_(Node.has_gpu, Node.always_draws, ~exists().where(_works(_OTHER), _OTHER.has_gpu))
