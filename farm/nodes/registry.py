"""The farm's nodes: how one joins, tells that it lives, and learns what it is to do."""

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import structlog
from sqlalchemy import CursorResult, bindparam, column, select, table, update
from sqlalchemy.orm import Session

from farm.db import models, nodes
from farm.db.chunks import DRAWING, URGENT
from farm.db.session import Database, later, send
from farm.db.tables import Chunk, Node, now
from farm.errors import Conflict, NodeRefused, Unavailable
from farm.scheduling.leases import Claimant
from farm.storage import Storage

if TYPE_CHECKING:
    from farm.nodes.facts import Facts

log = structlog.get_logger()

State = Literal["working", "idle", "draining", "drained", "quarantined", "gone"]

_NODE = update(Node).where(Node.name == bindparam("node"))
_VERSION = select(column("version_num")).select_from(table("alembic_version")).scalar_subquery()  # of the tables
_LIVES = _NODE.values(seen_at=bindparam("at", callable_=now), draws=nodes.DRAWS).returning(
    Node.engine, Node.draws, Node.drain_at, Node.quarantined_at, _VERSION.label("version")
)
_WILLING = select(Node.engine, Node.draws).where(
    Node.name == bindparam("node"), Node.drain_at.is_(None), Node.quarantined_at.is_(None)
)


@dataclass(frozen=True)
class Duty:
    """What a node is to do: the priorities that it listens for, and whether it is to end after the work at hand.

    So it is where the tables were `upgraded` while it worked, too.
    """

    priorities: tuple[int, ...]
    drain: bool
    upgraded: bool = False


def check_version(database: Database) -> None:
    """Raises NodeRefused where this code and the tables do not belong together."""
    there, ours = database.version(), database.newest_version()
    if there == ours:
        return
    if there is None or database.knows(there):
        raise NodeRefused(
            f"The database is at version {there or 'none'}, this node needs {ours}: run `farm db upgrade`"
        )
    raise NodeRefused(f"The database is at version {there}, newer than this node's {ours}: update Plinth on this node")


def check_storage(database: Database, storage: Storage) -> None:
    """Raises NodeRefused where this node's storage is another than the farm's: the newest models are not in it.

    A storage that is down does not tell; that one model's file is lost keeps nobody away.
    """
    with database.read() as db:
        keys = [model.storage_key for model in models.newest_with_file(db, 10)]
    try:
        elsewhere = bool(keys) and not any(key in storage.keys(key) for key in keys)
    except Unavailable as error:
        log.warning("the storage does not tell whether it is the farm's", error=error.message)
        return
    if elsewhere:
        raise NodeRefused(
            "This node does not see the farm's files: name the farm's bucket with FARM_S3_BUCKET, or with FARM_DATA a"
            " folder that all its machines share"
        )


def join(database: Database, facts: "Facts") -> bool:
    """Enter the farm; False when the node is drained and shall not work.

    Waits for nodes in the way that are silent, as they may be gone. Raises NodeRefused when one of them lives.
    """
    last_seen: dict[str, datetime] = {}
    while True:
        with database.write() as db:
            in_the_way = [node for node in nodes.alive(db) if _is_in_the_way(node, facts)]
            if not in_the_way:
                return _enter(db, facts)
        for node in in_the_way:
            if last_seen.setdefault(node.name, node.seen_at) != node.seen_at:
                raise NodeRefused(_why(node, facts))
        log.info("waiting to see whether these nodes live", nodes=[node.name for node in in_the_way])
        time.sleep(1.0)


def _is_in_the_way(node: Node, facts: "Facts") -> bool:
    """Whoever has our name on this very machine is dead: farm.nodes.names gives it to one process at a time."""
    if node.name == facts.name:
        return node.machine != facts.machine
    return node.drawing_code != facts.drawing_code


def _why(node: Node, facts: "Facts") -> str:
    if node.name == facts.name:
        return f"Another machine or container has a live node {node.name}: give this one another name with --name"
    return (
        f"The node {node.name} draws with another version (Plinth {node.plinth_version}, bpy {node.bpy_version}) than"
        f" this one (Plinth {facts.plinth_version}, bpy {facts.bpy_version}), so that a video could change its look"
        " midway: stop the nodes of the older version first"
    )


def _enter(db: Session, facts: "Facts") -> bool:
    node = nodes.find(db, facts.name, lock=True)
    if node and node.drain_at:
        return False
    if node is None:
        node = Node(name=facts.name)
    for name, value in asdict(facts).items():
        setattr(node, name, value)
    node.seen_at = now()
    node.stopped_at = None
    node.draws = False  # until the sign of life settles it
    db.add(node)
    _live(db, facts.name).one()
    return True


def beat(db: Session, facts: "Facts") -> Duty:
    """Tell that the node lives, and learn what it is to do. One that was forgotten meanwhile joins again."""
    node = _live(db, facts.name).one_or_none()
    if node is None:
        _enter(db, facts)
        node = _live(db, facts.name).one()
    if node.drain_at or node.version != facts.database_version:
        return Duty((), drain=True, upgraded=not node.drain_at)
    if node.quarantined_at:
        return Duty((), drain=False)
    if node.draws or nodes.begun_shots_wait(db, node.engine):
        return Duty((URGENT, DRAWING), drain=False)
    return Duty((URGENT,), drain=False)


def _live(db: Session, name: str) -> CursorResult[Any]:
    """Keep that a node lives, and settle whether it draws. Returns the row that its duty follows from, if any."""
    return send(db, _LIVES, {"node": name})


def claimant(db: Session, name: str) -> Claimant | None:
    """As whom a node asks for work, by what it learned at its last beat; None when it shall have none."""
    node = send(db, _WILLING, {"node": name}).one_or_none()
    return Claimant(name, "eevee" if node.engine == "eevee" else "cycles", node.draws) if node else None


def has_joined(db: Session, facts: "Facts") -> bool:
    """Whether this very process is the node of its name: it has joined, and no other has since."""
    node = nodes.find(db, facts.name, lock=True)
    return node is not None and (node.machine, node.started_at) == (facts.machine, facts.started_at)


def leave(db: Session, facts: "Facts") -> None:
    """Say goodbye. What an operator has said of the node is kept for its return; of others nothing remains.

    Nothing happens where the node has not joined, or another process goes by its name since.
    """
    if not has_joined(db, facts):
        return
    node = nodes.named(db, facts.name)
    if node.drain_at or node.quarantined_at:
        node.stopped_at = now()
    else:
        db.delete(node)


def drew(db: Session, name: str, chunk_id: str, frame: int) -> None:
    """Keep which frame a node drew last."""
    send(db, _NODE, {"node": name, **_drew(chunk_id, frame)})


def succeeded(db: Session, name: str, chunk_id: str, frame: int | None) -> None:
    """A chunk was done, `frame` its last: what failed on the node before does not count any more."""
    last = {} if frame is None else _drew(chunk_id, frame)
    later(db, _NODE, {"node": name, "succeeded_at": now(), **last})


def _drew(chunk_id: str, frame: int) -> dict[str, Any]:
    return {"last_chunk_id": chunk_id, "last_frame": frame, "last_frame_at": now()}


def drain(db: Session, name: str) -> Node:
    """Have a node finish its chunk and end, and not start again until it is resumed. Raises NotFound."""
    node = nodes.named(db, name, lock=True)
    node.drain_at = node.drain_at or now()
    return node


def resume(db: Session, name: str) -> Node:
    """Let a drained or quarantined node work again. Raises NotFound."""
    node = nodes.named(db, name, lock=True)
    node.drain_at = node.quarantined_at = node.quarantine_reason = node.failures = None
    return node


def forget(db: Session, name: str) -> None:
    """Strike a node that is gone off the list. Raises NotFound, and Conflict for one that is alive."""
    node = nodes.named(db, name, lock=True)
    if nodes.is_alive(node):
        raise Conflict(f"The node {name} is alive: stop it first, or `farm nodes drain {name}`")
    db.delete(node)


def is_drained(database_url: str, name: str) -> bool:
    """Whether a node shall not be started; False when the database does not tell."""
    database = Database(database_url)
    try:
        with database.read() as db:
            node = nodes.find(db, name)
            return node is not None and node.drain_at is not None
    except Exception as error:
        log.warning("the database does not tell whether a node is drained", node=name, error=str(error))
        return False
    finally:
        database.close()


def state(node: Node, chunk: Chunk | None) -> State:
    """What to call a node that works on `chunk`, or on none."""
    if not nodes.is_alive(node):
        return "drained" if node.drain_at else "gone"
    if node.quarantined_at:
        return "quarantined"
    if node.drain_at:
        return "draining"
    return "working" if chunk else "idle"
