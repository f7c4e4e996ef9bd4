"""Quarantine: a node on which several models in a row fail, which do not fail on other nodes, gets no work."""

import errno
import itertools
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from farm.db import nodes
from farm.db.tables import now
from farm.errors import BadModel, BadTemplate, RenderFailed

log = structlog.get_logger()

MAX_FAILED_MODELS = 3  # in a row, with no success between them
WINDOW = timedelta(hours=1)

# A full or broken disk. The services that the farm shares (database, Redis, storage) fail in other ways.
OWN_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM}


def record_failure(db: Session, name: str, model_id: str, error: BaseException) -> None:
    """Count a failed attempt against the node unless the model failed elsewhere too; enough of them quarantine it."""
    node = nodes.find(db, name, lock=True) if _may_be_the_nodes_fault(error) else None
    if node is None:
        return
    at = now()
    recent = [failure for failure in node.failures or [] if _at(failure) > at - WINDOW and failure[0] != model_id]
    node.failures = [*recent, [model_id, at.isoformat(), str(error)]]
    in_a_row = [failure for failure in node.failures if not (node.succeeded_at and _at(failure) < node.succeeded_at)]
    alone = {failure[0] for failure in in_a_row} - _failed_elsewhere(db, name, at - WINDOW)
    if len(alone) >= MAX_FAILED_MODELS and node.quarantined_at is None:
        node.quarantined_at = at
        node.quarantine_reason = f"{len(alone)} models in a row failed here and nowhere else. The last error: {error}"
        log.error("node_quarantined", node=name, reason=node.quarantine_reason)


def _may_be_the_nodes_fault(error: BaseException) -> bool:
    if isinstance(error, BadModel | BadTemplate):
        return False
    return isinstance(error, RenderFailed | MemoryError) or (isinstance(error, OSError) and error.errno in OWN_ERRNOS)


def _failed_elsewhere(db: Session, name: str, since: datetime) -> set[str]:
    failures = itertools.chain.from_iterable(nodes.failures_elsewhere(db, name))
    return {failure[0] for failure in failures if _at(failure) > since}


def _at(failure: list[str]) -> datetime:
    return datetime.fromisoformat(failure[1])
