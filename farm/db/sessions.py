"""Every query about browsers' sessions and about invitations."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload

from farm.db import clock
from farm.db.tables import BrowserSession, Invitation


def with_digest(db: Session, digest: str) -> BrowserSession | None:
    """The session, its account loaded."""
    wanted = select(BrowserSession).where(BrowserSession.digest == digest)
    return db.scalar(wanted.options(joinedload(BrowserSession.account)))


def of_account(db: Session, account_id: str) -> list[BrowserSession]:
    """The account's sessions that are not over, the newest first."""
    wanted = select(BrowserSession).where(
        BrowserSession.account_id == account_id, BrowserSession.expires_at > clock.now(db)
    )
    return list(db.scalars(wanted.order_by(BrowserSession.created_at.desc(), BrowserSession.id)))


def end(db: Session, account_id: str, *, session_id: str | None = None, keep: str | None = None) -> None:
    """End one of the account's sessions, or all of them except for `keep`."""
    ended = delete(BrowserSession).where(BrowserSession.account_id == account_id)
    if session_id is not None:
        ended = ended.where(BrowserSession.id == session_id)
    if keep is not None:
        ended = ended.where(BrowserSession.id != keep)
    db.execute(ended, execution_options={"synchronize_session": False})


def invitation(db: Session, digest: str) -> Invitation | None:
    return db.scalar(select(Invitation).where(Invitation.digest == digest))


def take_invitation(db: Session, digest: str) -> Invitation | None:
    """Delete an invitation, and return it: of concurrent calls, one gets it."""
    return db.scalar(delete(Invitation).where(Invitation.digest == digest).returning(Invitation))


def prune(db: Session) -> None:
    """Delete sessions and invitations that are over."""
    for table in (BrowserSession, Invitation):
        db.execute(delete(table).where(table.expires_at <= clock.now(db)))
