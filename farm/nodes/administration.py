"""What operators do to nodes, on the command line and in the dashboard; each change is audited."""

from sqlalchemy.orm import Session

from farm.db import audit
from farm.db.tables import Node
from farm.nodes import registry


def drain(db: Session, name: str, actor: str) -> Node:
    """Let a node finish its chunk and end, until it is resumed. Raises NotFound."""
    node = registry.drain(db, name)
    audit.record(db, actor, "nodes drain", name)
    return node


def resume(db: Session, name: str, actor: str) -> Node:
    """Let a drained or quarantined node work again. Raises NotFound."""
    node = registry.resume(db, name)
    audit.record(db, actor, "nodes resume", name)
    return node


def forget(db: Session, name: str, actor: str) -> None:
    """Remove a node that is gone from the registry. Raises NotFound, and Conflict for one that is alive."""
    registry.forget(db, name)
    audit.record(db, actor, "nodes forget", name)
