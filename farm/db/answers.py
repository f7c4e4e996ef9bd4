"""Every query about answers to requests with an Idempotency-Key: claims of those in flight, and those kept."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from farm.db import clock
from farm.db.session import rows_changed
from farm.db.tables import Answer
from farm.errors import IdempotencyInFlight, IdempotencyMismatch

KEPT = timedelta(hours=24)
LEASE_SECONDS = 30.0  # after which a request that its process no longer renews counts as dead


def claim(db: Session, account_id: str, route: str, key: str, fingerprint: str) -> Answer:
    """Claim a key of the account for one request, or find the answer that the key has, whose `status` is not None.

    `fingerprint` identifies the request's content. Raises IdempotencyMismatch when the key was used for another
    content, IdempotencyInFlight while another request holds the claim, and IntegrityError when one is about to.
    """
    same = (Answer.account_id == account_id, Answer.route == route, Answer.key == key)
    found = db.scalar(select(Answer).where(*same).with_for_update())
    if found and _is_void(found, clock.now(db)):
        # With another id, so that the request that held the claim cannot complete it any more.
        db.delete(found)
        db.flush()
        found = None
    if found is None:
        found = Answer(account_id=account_id, route=route, key=key, fingerprint=fingerprint, lease_until=_lease(db))
        db.add(found)
        db.flush()
        return found
    if found.fingerprint != fingerprint:
        raise IdempotencyMismatch
    if found.status is None:
        raise IdempotencyInFlight
    return found


def renew(db: Session, answer_id: str) -> None:
    """Extend the lease of a claim."""
    rows_changed(db, update(Answer).where(Answer.id == answer_id).values(lease_until=_lease(db)))


def complete(db: Session, answer_id: str, status: int, body: str) -> None:
    """Keep the answer, in the transaction of the request's effect. Raises IdempotencyInFlight if the claim was lost."""
    held = (Answer.id == answer_id, Answer.status.is_(None))
    if not rows_changed(db, update(Answer).where(*held).values(status=status, body=body)):
        raise IdempotencyInFlight


def release(db: Session, answer_id: str) -> None:
    """Give up the claim of a request without effect, so that the key can be used again. Keeps an answer."""
    db.execute(delete(Answer).where(Answer.id == answer_id, Answer.status.is_(None)))


def prune(db: Session) -> None:
    """Delete answers that were kept long enough."""
    db.execute(delete(Answer).where(Answer.created_at < clock.now(db) - KEPT))


def _is_void(answer: Answer, at: datetime) -> bool:
    """Whether the answer was kept long enough, or the request that claimed the key is dead."""
    dead = answer.status is None and answer.lease_until <= at
    return dead or answer.created_at < at - KEPT


def _lease(db: Session) -> datetime:
    return clock.now(db) + timedelta(seconds=LEASE_SECONDS)
