"""Every query about accounts, their keys and the ledger of their credits."""

from typing import NamedTuple

from sqlalchemy import String, case, cast, func, select, update
from sqlalchemy.orm import Session, joinedload

from farm.db.session import rows_changed
from farm.db.tables import Account, Key, LedgerEntry


def accounts_exist(db: Session) -> bool:
    """Whether there is any account."""
    return db.scalar(select(Account.id).limit(1)) is not None


def find_account(db: Session, email: str) -> Account | None:
    return db.scalar(select(Account).where(Account.email == email))


def password_digest(db: Session, account_id: str) -> str | None:
    """The digest of the account's password; None if it has none."""
    return db.scalar(select(Account.password_digest).where(Account.id == account_id))


def all_accounts(db: Session) -> list[Account]:
    """All accounts in alphabetical order."""
    return list(db.scalars(select(Account).order_by(Account.email)))


def keys_of(db: Session, account: Account) -> list[Key]:
    """All keys that the account ever had, oldest first."""
    return list(db.scalars(select(Key).where(Key.account_id == account.id).order_by(Key.created_at, Key.id)))


def newest_keys(db: Session, account_id: str, limit: int) -> list[Key]:
    """Keys of the account: first those that were not revoked, then others, each the newest first."""
    order = (Key.revoked_at.is_not(None), Key.created_at.desc(), Key.id)
    return list(db.scalars(select(Key).where(Key.account_id == account_id).order_by(*order).limit(limit)))


def ledger_of(db: Session, account_id: str, limit: int) -> list[LedgerEntry]:
    """The newest entries of the account's ledger, the newest first."""
    newest = (LedgerEntry.created_at.desc(), LedgerEntry.id.desc())
    return list(
        db.scalars(select(LedgerEntry).where(LedgerEntry.account_id == account_id).order_by(*newest).limit(limit))
    )


class Month(NamedTuple):
    """What an account was charged and refunded in a calendar month (UTC), `month` as 2026-02."""

    month: str
    renders: int
    credits: int


def usage_by_month(db: Session, account_id: str, limit: int) -> list[Month]:
    """The renders of the newest months that the account has paid for, and the credits, without those refunded."""
    month = func.substr(cast(LedgerEntry.created_at, String), 1, 7)
    charged = func.sum(case((LedgerEntry.kind == "charge", 1), else_=-1))
    wanted = select(month, charged, -func.sum(LedgerEntry.credits)).where(
        LedgerEntry.account_id == account_id, LedgerEntry.kind.in_(("charge", "refund"))
    )
    rows = db.execute(wanted.group_by(month).order_by(month.desc()).limit(limit))
    return [Month(name, int(renders), int(credits)) for name, renders, credits in rows]


def key_with_digest(db: Session, digest: str) -> Key | None:
    """The key, its account loaded."""
    return db.scalar(select(Key).where(Key.digest == digest).options(joinedload(Key.account)))


def balance(db: Session, account_id: str) -> int:
    """The credits that the account can spend; 0 for an unknown account."""
    return db.scalar(select(Account.credits).where(Account.id == account_id)) or 0


def add_credits(db: Session, account_id: str, credits: int) -> None:
    rows_changed(db, update(Account).where(Account.id == account_id).values(credits=Account.credits + credits))


def take_credits(db: Session, account_id: str, credits: int) -> bool:
    """Subtract credits if the account has as many; otherwise change nothing and return False.

    A single conditional UPDATE, so that concurrent orders never bring a balance below zero.
    """
    enough = (Account.id == account_id, Account.credits >= credits)
    return rows_changed(db, update(Account).where(*enough).values(credits=Account.credits - credits)) == 1


def charge_of(db: Session, render_id: str) -> LedgerEntry | None:
    """The latest ledger entry that charged the account for a render; None for a preview."""
    charges = select(LedgerEntry).where(LedgerEntry.render_id == render_id, LedgerEntry.kind == "charge")
    return db.scalar(charges.order_by(LedgerEntry.retries.desc()).limit(1))


def paid_for(db: Session, render_id: str) -> int:
    """The credits that a render has cost so far: charges without refunds."""
    return -int(db.scalar(select(func.sum(LedgerEntry.credits)).where(LedgerEntry.render_id == render_id)) or 0)
