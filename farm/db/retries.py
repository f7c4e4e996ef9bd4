"""Queries about retries: when they are due, and on which node.

A chunk is left to the nodes on which it has not failed, while one is alive that could take it.
"""

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from farm.db import clock, nodes
from farm.db.chunks import PREVIEW
from farm.db.tables import Account, AttemptLog, Chunk, Node, Shot

FAILED = ("failed", "expired")  # outcomes of attempts

Retry = aliased(Chunk)  # a chunk in these queries, which are parts of others about chunks


def held_back(db: Session, worker: str) -> Select[str]:
    """The ids of the waiting chunks that this node may not retry: not yet, or not at all."""
    not_yet, left_to_others = Retry.due_at > clock.now(db), and_(_failed_on(worker), _other_could_take(db, worker))
    return (
        select(Retry.id)
        .join(Shot, Shot.id == Retry.shot_id)
        .where(Retry.due_at.is_not(None), or_(not_yet, left_to_others))
    )


def is_one_nodes_fault(db: Session, chunk: Chunk) -> bool:
    """Whether a chunk has failed on one node only, and another could take it."""
    failed = select(func.count(AttemptLog.worker.distinct()), func.min(AttemptLog.worker)).where(
        AttemptLog.chunk_id == chunk.id, AttemptLog.outcome.in_(FAILED)
    )
    number, worker = db.execute(failed).one()
    if number != 1:
        return False
    wanted = select(Retry.id).join(Shot, Shot.id == Retry.shot_id)
    return db.scalar(wanted.where(Retry.id == chunk.id, _other_could_take(db, worker))) is not None


def _other_could_take(db: Session, worker: str) -> ColumnElement[bool]:
    tag = select(Account.node_tag).where(Account.id == Retry.account_id).correlate(Retry).scalar_subquery()
    able = or_(
        Retry.kind == "finish",
        Node.engine == Shot.engine,
        and_(Shot.engine.is_(None), or_(Retry.priority == PREVIEW, nodes.begins_for(db, tag))),
    )
    others = (Node.name != worker, nodes.may_work(db), nodes.serves(tag), able, ~_failed_on(Node.name))
    return exists().where(*others).correlate(Retry, Shot)


def _failed_on(worker: str | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    failed = (AttemptLog.chunk_id == Retry.id, AttemptLog.worker == worker, AttemptLog.outcome.in_(FAILED))
    return exists().where(*failed).correlate(Retry, Node)
