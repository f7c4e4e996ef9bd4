"""The registry of nodes: how a node joins, sends heartbeats, and receives its assignment."""

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, cast

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from farm.db import chunks, clock, models, nodes
from farm.db.chunks import DRAWING, FINISHING, PREVIEW
from farm.db.session import Database, rows_changed, version
from farm.db.tables import Chunk, Node, now
from farm.errors import Conflict, NodeRefused, Unavailable, WrongVersion, reason_of
from farm.nodes.facts import Facts
from farm.scene.shot import Engine
from farm.scheduling.leases import Claimant
from farm.storage import Storage

log = structlog.get_logger()

State = Literal["working", "idle", "checking", "draining", "drained", "quarantined", "gone"]


@dataclass(frozen=True)
class Assignment:
    """The priorities of wake-ups that a node acts on, and with `drain` that it ends after its current chunk.

    So does an `outdated` node: the tables were upgraded while it worked. With `check` it is to be checked now. While
    bound work waits, of accounts bound to one of its tags, it works without a wake-up: another node may get that.
    """

    priorities: tuple[int, ...]
    drain: bool
    outdated: bool = False
    check: bool = False
    is_bound_work_waiting: bool = False


def check_version(database: Database) -> None:
    """Raises NodeRefused when the tables are not of this code's version."""
    try:
        database.check_version()
    except WrongVersion as error:
        raise NodeRefused(error.message) from error


def check_storage(database: Database, storage: Storage) -> None:
    """Raises NodeRefused when this node's storage is not the farm's: it has none of the newest models.

    A storage that is down, or has lost one file, is not refused.
    """
    with database.read() as db:
        keys = [model.storage_key for model in models.newest_with_file(db, 10)]
    try:
        elsewhere = bool(keys) and not any(key in storage.keys(key) for key in keys)
    except Unavailable as error:
        log.warning("storage_not_checked", error=error.message)
        return
    if elsewhere:
        raise NodeRefused(
            "This node does not see the farm's files: name the farm's bucket with FARM_S3_BUCKET, or with FARM_DATA a"
            " folder that all its machines share"
        )


def join(database: Database, facts: Facts) -> bool:
    """Join the farm; False when the node is drained and must not work.

    Waits until every conflicting node has expired. Raises NodeRefused when one of them sends a heartbeat.
    """
    last_seen: dict[str, datetime] = {}
    while True:
        with database.write() as db:
            conflicting = [node for node in nodes.alive(db) if _conflicts(node, facts)]
            if not conflicting:
                return _enter(db, facts)
        for node in conflicting:
            if last_seen.setdefault(node.name, node.seen_at) != node.seen_at:
                raise NodeRefused(_conflict_message(node, facts))
        log.info("waiting_for_nodes", nodes=[node.name for node in conflicting])
        time.sleep(1.0)


def _conflicts(node: Node, facts: Facts) -> bool:
    """Whether a live node prevents this one from joining.

    One with our name on this machine does not: as farm.nodes.names reserved the name for us, its process has ended.
    """
    if node.name == facts.name:
        return node.machine != facts.machine
    return node.drawing_code != facts.drawing_code


def _conflict_message(node: Node, facts: Facts) -> str:
    if node.name == facts.name:
        return f"Another machine or container has a live node {node.name}: choose another name for this one with --name"
    return (
        f"The node {node.name} draws with another version (Plinth {node.plinth_version}, bpy {node.bpy_version}) than"
        f" this one (Plinth {facts.plinth_version}, bpy {facts.bpy_version}), so that the frames of a video could"
        " differ: stop the nodes of the older version first"
    )


def _enter(db: Session, facts: Facts) -> bool:
    node = nodes.find(db, facts.name, lock=True)
    if node and node.drain_at:
        return False
    if node is None:
        node = Node(name=facts.name)
    for name, value in asdict(facts).items():
        setattr(node, name, value)
    node.stopped_at = None
    node.draws = False  # until the heartbeat below
    db.add(node)
    _record_heartbeat(db, node)
    return True


def heartbeat(db: Session, facts: Facts) -> Assignment:
    """Record that the node is alive, and return its assignment. One that was removed from the registry joins again.

    Raises NodeRefused when another process has joined under its name since, while this one was suspended.
    """
    node = nodes.find(db, facts.name, lock=True)
    if node is None:
        _enter(db, facts)
        node = nodes.named(db, facts.name)
    elif not _is_of(node, facts):
        raise NodeRefused(f"Another worker has joined as {facts.name}, as this one sent no heartbeat for a while")
    else:
        _record_heartbeat(db, node)
    outdated = version(db) != facts.database_version
    if node.drain_at or outdated:
        return Assignment((), drain=True, outdated=outdated and not node.drain_at)
    if node.quarantined_at or node.check_due_at:
        return Assignment((), drain=False, check=node.check_due_at is not None and node.check_due_at <= node.seen_at)
    bound = bool(node.tags) and chunks.bound_wait(db, node.tags)
    if node.draws or nodes.begun_shots_wait(db, node.engine, node.tags):
        return Assignment((FINISHING, PREVIEW, DRAWING), drain=False, is_bound_work_waiting=bound)
    return Assignment((FINISHING, PREVIEW), drain=False, is_bound_work_waiting=bound)


def _record_heartbeat(db: Session, node: Node) -> None:
    node.seen_at = clock.now(db)
    node.clock_offset = (now() - node.seen_at).total_seconds()
    db.flush()
    node.draws = nodes.draws(db, node)


def claimant(db: Session, name: str) -> Claimant | None:
    """The node as a claimant of chunks, as of its last heartbeat; None when it must not work."""
    node = nodes.find(db, name)
    if node is None or node.drain_at or node.quarantined_at or node.check_due_at:
        return None
    return Claimant(
        name,
        cast(Engine, node.engine),
        node.draws,
        tags=tuple(node.tags),
        drawn_tags=() if node.draws else tuple(nodes.drawn_tags(db, node)),
    )


def has_joined(db: Session, facts: Facts) -> bool:
    """Whether this process has joined, and no other process has joined under its name since."""
    node = nodes.find(db, facts.name)
    return node is not None and _is_of(node, facts)


def _is_of(node: Node, facts: Facts) -> bool:
    return (node.machine, node.started_at) == (facts.machine, facts.started_at)


def leave(db: Session, facts: Facts, *, failed: bool = False) -> None:
    """Remove the node from the registry.

    One that has `failed`, is drained, quarantined or to be checked stays, marked as stopped.

    Does nothing if the node has not joined, or another process has joined under its name since.
    """
    node = nodes.find(db, facts.name, lock=True)
    if node is None or not has_joined(db, facts):
        return
    if failed or node.drain_at or node.quarantined_at or node.check_due_at:
        node.stopped_at = clock.now(db)
    else:
        db.delete(node)


def record_frame(db: Session, name: str, chunk_id: str, frame: int) -> None:
    """Record the frame that a node drew last."""
    last = {"last_chunk_id": chunk_id, "last_frame": frame, "last_frame_at": clock.now(db)}
    rows_changed(db, update(Node).where(Node.name == name).values(last))


def record_success(db: Session, name: str, chunk_id: str, frame: int | None) -> None:
    """Record that a chunk was completed, `frame` its last: the node's earlier failures no longer count."""
    rows_changed(db, update(Node).where(Node.name == name).values(succeeded_at=clock.now(db), quick_failures=0))
    if frame is not None:
        record_frame(db, name, chunk_id, frame)


def drain(db: Session, name: str) -> Node:
    """Let a node finish its chunk and end; it does not start again until it is resumed. Raises NotFound."""
    node = nodes.named(db, name, lock=True)
    node.drain_at = node.drain_at or clock.now(db)
    return node


def resume(db: Session, name: str) -> Node:
    """Let a drained or quarantined node work again. Raises NotFound."""
    node = nodes.named(db, name, lock=True)
    node.drain_at = node.quarantined_at = node.quarantine_reason = node.failures = node.check_due_at = None
    node.quick_failures = 0
    return node


def forget(db: Session, name: str) -> None:
    """Remove a node that is gone from the registry. Raises NotFound, and Conflict for one that is alive."""
    node = nodes.named(db, name, lock=True)
    if nodes.is_alive(node, clock.now(db)):
        raise Conflict(f"The node {name} is alive: stop it first, or `farm nodes drain {name}`")
    db.delete(node)


def is_drained(database_url: str, name: str) -> bool:
    """Whether a node is drained and must not be started; False when the database does not respond."""
    database = Database(database_url)
    try:
        with database.read() as db:
            node = nodes.find(db, name)
            return node is not None and node.drain_at is not None
    except Exception as error:
        log.warning("drain_not_checked", node=name, error=reason_of(error))
        return False
    finally:
        database.close()


def state(node: Node, chunk: Chunk | None, at: datetime) -> State:
    """The state of a node at a time by the database's clock; `chunk` is the one that it works on, if any."""
    if not nodes.is_alive(node, at):
        return "drained" if node.drain_at else "gone"
    if node.quarantined_at:
        return "quarantined"
    if node.drain_at:
        return "draining"
    if chunk:
        return "working"
    return "checking" if node.check_due_at else "idle"
