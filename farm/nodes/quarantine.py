"""Keeps work from a node that fails with one model after the other, while others do not fail with them."""

import errno
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from farm.db import nodes
from farm.db.tables import Node, now
from farm.errors import BadModel, BadTemplate, RenderFailed

log = structlog.get_logger()

MODELS = 3  # that fail here one after the other, with nothing between them that succeeds
WINDOW = timedelta(hours=1)

# A full disk or a broken one. What the farm shares (database, Redis, storage) fails in other ways.
OWN_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM}


def failed(db: Session, name: str, model_id: str, error: BaseException) -> None:
    """Count a failed attempt against the node, if the model failed on no other lately; enough of them quarantine it."""
    node = nodes.find(db, name, lock=True) if _may_be_the_nodes(error) else None
    if node is None:
        return
    moment = now()
    lately = [failure for failure in node.failures or [] if _at(failure) > moment - WINDOW and failure[0] != model_id]
    node.failures = [*lately, [model_id, moment.isoformat(), str(error)]]
    in_a_row = [failure for failure in node.failures if not (node.succeeded_at and _at(failure) < node.succeeded_at)]
    alone = {failure[0] for failure in in_a_row} - _failed_elsewhere(db, name, moment - WINDOW)
    if len(alone) >= MODELS and node.quarantined_at is None:
        node.quarantined_at = moment
        node.quarantine_reason = f"{len(alone)} models failed here one after the other. The last one: {error}"
        log.error("node quarantined", node=name, reason=node.quarantine_reason)


def _may_be_the_nodes(error: BaseException) -> bool:
    if isinstance(error, BadModel | BadTemplate):
        return False
    return isinstance(error, RenderFailed | MemoryError) or (isinstance(error, OSError) and error.errno in OWN_TROUBLE)


def _failed_elsewhere(db: Session, name: str, since: datetime) -> set[str]:
    others = db.scalars(select(Node.failures).where(Node.name != name, Node.failures.is_not(None)))
    return {failure[0] for failures in others for failure in failures or [] if _at(failure) > since}


def _at(failure: list[str]) -> datetime:
    return datetime.fromisoformat(failure[1])
