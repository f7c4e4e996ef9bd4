"""Accounts with a key, as clients of the API have them."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from farm.accounts import accounts
from farm.db import clock
from farm.db.session import Database
from farm.db.tables import Account

INITIAL_CREDITS = 1_000_000  # more than a test spends


@dataclass(frozen=True)
class Client:
    """An account and its key."""

    account: Account
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def new_client(database: Database, email: str, credits: int = INITIAL_CREDITS) -> Client:
    with database.write() as db:
        account = accounts.create(db, email, credits_=credits)
        return Client(account, accounts.create_key(db, account))


def expired_key(db: Session, account: Account) -> str:
    """A key of the account that has just expired."""
    raw = accounts.create_key(db, account, expires_at=clock.now(db) + timedelta(hours=1))
    accounts.authenticate(db, raw, "models:read").expires_at = clock.now(db)
    return raw
