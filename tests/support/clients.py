"""Accounts with a key, as clients of the API have them."""

from dataclasses import dataclass

from farm.accounts import accounts
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
