"""Credits: what a render costs, and the ledger of what every account was given, paid and got back.

`Account.credits` is the balance and equals the sum of the account's ledger: each function here changes both, in the
transaction that it is called in.
"""

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from farm.db import counters
from farm.db.tables import Account, LedgerEntry
from farm.errors import NoCredits

FREE = 10  # what a new account starts with


def grant(db: Session, account_id: str, credits: int) -> None:
    """Give an account credits."""
    _give(db, account_id, credits)
    db.add(LedgerEntry(account_id=account_id, kind="grant", credits=credits))
    counters.CREDITS.add(db, credits, kind="grant")


def charge(db: Session, account_id: str, prices: Mapping[str, int]) -> None:
    """Take the price of each render, by render id, or raise NoCredits and take nothing.

    One conditional UPDATE asks and takes at once: whatever else happens meanwhile, no balance falls below zero.
    """
    needed = sum(prices.values())
    enough = (Account.id == account_id, Account.credits >= needed)
    taking = update(Account).where(*enough).values(credits=Account.credits - needed)
    if not _changes_a_row(db, taking):
        raise NoCredits(needed, db.scalar(select(Account.credits).where(Account.id == account_id)) or 0)
    db.add_all(
        LedgerEntry(account_id=account_id, render_id=render_id, kind="charge", credits=-credits)
        for render_id, credits in prices.items()
    )
    counters.CREDITS.add(db, needed, kind="charge")


def refund(db: Session, render_id: str) -> None:
    """Give back what a render cost: nothing for a preview, and nothing when it was given back already."""
    paid = db.scalar(select(LedgerEntry).where(LedgerEntry.render_id == render_id, LedgerEntry.kind == "charge"))
    if paid is None:
        return
    try:
        with db.begin_nested():
            db.add(LedgerEntry(account_id=paid.account_id, render_id=render_id, kind="refund", credits=-paid.credits))
    except IntegrityError:  # the ledger takes one refund a render
        return
    _give(db, paid.account_id, -paid.credits)
    counters.CREDITS.add(db, -paid.credits, kind="refund")


def _give(db: Session, account_id: str, credits: int) -> None:
    _changes_a_row(db, update(Account).where(Account.id == account_id).values(credits=Account.credits + credits))


def _changes_a_row(db: Session, statement: Any) -> bool:
    result = cast(CursorResult[Any], db.execute(statement, execution_options={"synchronize_session": False}))
    return result.rowcount == 1
