"""Credits, and the ledger of all grants, charges, refunds and credits taken back.

`Account.credits` is the balance and equals the sum of the account's ledger: each function here changes both, in the
transaction that it is called in.
"""

from collections.abc import Mapping

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from farm.db import accounts, counters
from farm.db.tables import LedgerEntry, Render
from farm.errors import NoCredits

FREE = 10  # of a new account


def grant(db: Session, account_id: str, credits: int) -> None:
    """Add credits to an account."""
    accounts.add_credits(db, account_id, credits)
    db.add(LedgerEntry(account_id=account_id, kind="grant", credits=credits))
    counters.CREDITS.add(db, credits, kind="grant")


def take(db: Session, account_id: str, credits: int) -> None:
    """Take credits back from an account, or raise NoCredits when it has fewer."""
    if not accounts.take_credits(db, account_id, credits):
        raise NoCredits(credits, accounts.balance(db, account_id))
    db.add(LedgerEntry(account_id=account_id, kind="take", credits=-credits))
    counters.CREDITS.add(db, credits, kind="take")


def check(db: Session, account_id: str, needed: int) -> None:
    """Raises NoCredits when the account has fewer credits than `needed`."""
    left = accounts.balance(db, account_id)
    if left < needed:
        raise NoCredits(needed, left)


def charge(db: Session, account_id: str, prices: Mapping[str, int]) -> None:
    """Charge the price of each render, by render id, or raise NoCredits and charge nothing."""
    needed = sum(prices.values())
    if not accounts.take_credits(db, account_id, needed):
        raise NoCredits(needed, accounts.balance(db, account_id))
    db.add_all(
        LedgerEntry(account_id=account_id, render_id=render_id, kind="charge", credits=-credits)
        for render_id, credits in prices.items()
    )
    counters.CREDITS.add(db, needed, kind="charge")


def charge_again(db: Session, render: Render) -> None:
    """Charge the price of a refunded render once more, as it is queued again. Does nothing for a preview.

    Raises NoCredits.
    """
    paid = accounts.charge_of(db, render.id)
    render.retries += 1
    if paid is None:
        return
    if not accounts.take_credits(db, render.account_id, -paid.credits):
        raise NoCredits(-paid.credits, accounts.balance(db, render.account_id))
    again = {"account_id": render.account_id, "render_id": render.id, "retries": render.retries}
    db.add(LedgerEntry(kind="charge", credits=paid.credits, **again))
    counters.CREDITS.add(db, -paid.credits, kind="charge")


def refund(db: Session, render_id: str) -> None:
    """Return the price of a render to its account. Does nothing for a preview, or if it was refunded before."""
    paid = accounts.charge_of(db, render_id)
    if paid is None or paid.account_id is None:
        return
    same = {"account_id": paid.account_id, "render_id": render_id, "retries": paid.retries}
    try:
        with db.begin_nested():
            db.add(LedgerEntry(kind="refund", credits=-paid.credits, **same))
    except IntegrityError:  # the ledger holds one refund per charge
        return
    accounts.add_credits(db, paid.account_id, -paid.credits)
    counters.CREDITS.add(db, -paid.credits, kind="refund")
