"""Every query about the audit: which operator did what, when, and to what."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from farm.db.tables import Account, AuditEntry


def record(
    db: Session, actor: str, action: str, target: str, *, account_id: str | None = None, **details: object
) -> None:
    """Record an action in the transaction that does it.

    `details` are JSON; they never contain an email address, so that erasing an account leaves none here.
    """
    db.add(AuditEntry(actor=actor, action=action, target=target, account_id=account_id, details=details))


def newest(db: Session, *, account_id: str | None, limit: int, offset: int = 0) -> list[AuditEntry]:
    """The newest entries, the newest first; with `account_id` only those about that account or of that admin."""
    wanted = select(AuditEntry).order_by(AuditEntry.created_at.desc(), AuditEntry.id.desc()).limit(limit).offset(offset)
    if account_id is not None:
        wanted = wanted.where((AuditEntry.account_id == account_id) | (AuditEntry.actor == account_id))
    return list(db.scalars(wanted))


def emails(db: Session, entries: list[AuditEntry]) -> dict[str, str]:
    """The email addresses of the accounts that the entries name, by id; none for an account that was deleted."""
    ids = {id_ for entry in entries for id_ in (entry.account_id, entry.actor) if id_}
    return dict(db.execute(select(Account.id, Account.email).where(Account.id.in_(ids))).all())
