"""What operators do to accounts, on the command line and in the dashboard; each change is audited."""

from sqlalchemy.orm import Session

from farm.accounts import accounts, credits, erasure
from farm.db import audit, chunks, clock
from farm.db.holdings import Holdings
from farm.db.tables import Account, Key

MAX_CREDITS = 1_000_000_000  # that are given or taken at once


def suspend(db: Session, account: Account, actor: str) -> None:
    """Refuse the account's keys and sessions until it is resumed; its queued work waits."""
    account.suspended_at = clock.now(db)
    _record(db, actor, "suspend", account)


def resume(db: Session, account: Account, actor: str) -> None:
    """Lift a suspension: the account's queued work shares the farm from now on."""
    chunks.move_back(db, account.id)
    account.suspended_at = None
    _record(db, actor, "resume", account)


def grant(db: Session, account: Account, number: int, actor: str) -> None:
    """Give the account credits, from 1 to MAX_CREDITS."""
    credits.grant(db, account.id, number)
    _record(db, actor, "grant", account, credits=number)


def take(db: Session, account: Account, number: int, actor: str) -> None:
    """Take back credits that the account has not spent, from 1 to MAX_CREDITS. Raises NoCredits."""
    credits.take(db, account.id, number)
    _record(db, actor, "take", account, credits=number)


def erase(db: Session, account: Account, over: tuple[str, ...], actor: str) -> tuple[Holdings, list[str]]:
    """Delete the account with everything that it owns, as `erasure.erase` does. Raises NotFound or Conflict."""
    found, files = erasure.erase(db, account.id, over)
    audit.record(db, actor, "accounts delete", account.id, account_id=account.id, **found._asdict())
    return found, files


def revoke_key(db: Session, key: str, actor: str) -> Key:
    """Revoke a key by its raw text or its id. Raises Unauthorized when it is not a valid key of this farm."""
    row = accounts.revoke_key(db, key)
    audit.record(db, actor, "keys revoke", row.id, account_id=row.account_id)
    return row


def _record(db: Session, actor: str, action: str, account: Account, **details: object) -> None:
    audit.record(db, actor, f"accounts {action}", account.id, account_id=account.id, **details)
