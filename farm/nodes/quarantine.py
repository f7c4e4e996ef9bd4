"""Quarantine: a node that cannot draw a model that is known to be good gets no work.

A node on which attempts in a row fail quickly, or several models in a row fail, or two Blenders in a row end with the
same model, gets no work until it has drawn that model (farm.worker.node_check), which tells whether it was the node's
fault or the models'.
"""

import errno
import itertools
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy.orm import Session

from farm.db import clock, nodes, suspect_models
from farm.db.suspect_models import MAX_HOSTS
from farm.db.tables import Model, Node
from farm.errors import BadModel, BadTemplate, BlenderCrashed, BlenderTimeout, RenderFailed

log = structlog.get_logger()

MAX_FAILED_MODELS = 3  # in a row, with no success between them
MAX_QUICK_FAILURES = (
    2  # in a row: a sick node fails at once, and would take all work before that of the sound ones ends
)
QUICK = timedelta(seconds=30)  # of an attempt, from its claim
WINDOW = timedelta(hours=1)
CHECK_INTERVAL = timedelta(minutes=5)  # after which a node in quarantine is checked again

# A full or broken disk. The services that the farm shares (database, Redis, storage) fail in other ways.
OWN_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM}


class Failure(NamedTuple):
    """A failed attempt, as in the column Node.failures."""

    sha256: str
    account_id: str
    time: str
    message: str

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.time)


def record_failure(
    db: Session, name: str, model: Model, error: BaseException, claimed_at: datetime | None = None
) -> None:
    """Count a failed attempt against the node, unless the model failed elsewhere too, and against the model.

    One that failed soon after `claimed_at` counts against the node in any case.
    """
    node = nodes.find(db, name, lock=True) if _may_be_the_nodes_fault(error) else None
    if node is None:
        return
    at = clock.now(db)
    recent = [failure for failure in _failures(node, at - WINDOW) if failure.sha256 != model.sha256]
    node.failures = [list(each) for each in (*recent, Failure(model.sha256, model.account_id, str(at), str(error)))]
    in_a_row = {failure.sha256 for failure in _in_a_row(node, at)}
    hosts = 0
    if isinstance(error, BlenderCrashed | BlenderTimeout):
        hung_for = model.account_id if isinstance(error, BlenderTimeout) else None
        hosts = suspect_models.record(db, model.sha256, str(error), hung_for=hung_for)
    if claimed_at and at - claimed_at < QUICK:
        node.quick_failures += 1
    is_sick = node.quick_failures >= MAX_QUICK_FAILURES
    if is_sick or len(in_a_row - _failed_elsewhere(db, name, at - WINDOW)) >= MAX_FAILED_MODELS or hosts >= MAX_HOSTS:
        node.check_due_at = node.check_due_at or at
        log.warning("node_check_due", node=name, models=len(in_a_row), error=str(error))


def begin_check(db: Session, name: str) -> bool:
    """Whether the node is to be checked now. If the check does not end, another follows after CHECK_INTERVAL."""
    node, at = nodes.find(db, name, lock=True), clock.now(db)
    if node is None or node.check_due_at is None or node.check_due_at > at:
        return False
    node.check_due_at = at + CHECK_INTERVAL
    return True


def end_check(db: Session, name: str, error: str | None) -> None:
    """Record the outcome of a check, and whose fault the failures before it were.

    Without an error it was the models': the node works, and those with which MAX_HOSTS Blenders ended are refused.
    """
    node, at = nodes.find(db, name, lock=True), clock.now(db)
    if node is None:
        return
    failures = _in_a_row(node, at)
    models = {failure.sha256 for failure in failures}
    node.quick_failures = 0
    if error is None:
        suspect_models.confirm(db, models)
        node.failures = node.quarantined_at = node.quarantine_reason = node.check_due_at = None
        log.info("node_check_passed", node=name, models=len(models))
        return
    suspect_models.clear(db, models)
    if node.quarantined_at is None:
        accounts = len({failure.account_id for failure in failures})
        last = f", the last one with: {failures[-1].message}" if failures else ""
        node.quarantine_reason = (
            f"This node does not draw its test model: {error}. Models that failed here in a row before: {len(models)}"
            f" (accounts: {accounts}){last}"
        )
        node.quarantined_at = at
        log.error("node_quarantined", node=name, reason=node.quarantine_reason)
    node.check_due_at = at + CHECK_INTERVAL


def is_being_checked(db: Session, name: str) -> bool:
    """Whether a check has begun. One that is only due has not: `begin_check` defers the next one."""
    node = nodes.find(db, name)
    return node is not None and node.check_due_at is not None and node.check_due_at > clock.now(db)


def _may_be_the_nodes_fault(error: BaseException) -> bool:
    if isinstance(error, BadModel | BadTemplate):
        return False
    return isinstance(error, RenderFailed | MemoryError) or (isinstance(error, OSError) and error.errno in OWN_ERRNOS)


def _failures(node: Node, since: datetime) -> list[Failure]:
    failures = (Failure(*failure) for failure in node.failures or [])
    return [failure for failure in failures if failure.at > since]


def _in_a_row(node: Node, at: datetime) -> list[Failure]:
    """The failures since the node's last success."""
    return [
        failure
        for failure in _failures(node, at - WINDOW)
        if not (node.succeeded_at and failure.at < node.succeeded_at)
    ]


def _failed_elsewhere(db: Session, name: str, since: datetime) -> set[str]:
    failures = itertools.chain.from_iterable(nodes.failures_elsewhere(db, name))
    return {failure.sha256 for failure in (Failure(*each) for each in failures) if failure.at > since}
