"""Accounts and their API keys. A raw key is shown once; the database holds its digest alone."""

import hashlib
import hmac
import secrets
import zlib
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from farm.accounts import credits
from farm.db import counters
from farm.db.tables import ALPHABET, Account, Key, LedgerEntry, now
from farm.errors import Forbidden, InsufficientScope, TokenExpired, Unauthorized

PREFIX = "dxgl_sk_"
RANDOM_LENGTH, CHECK_LENGTH = 32, 6

# What a key may be allowed, and what that opens.
SCOPES = {
    "models:read": "look at models, download their files",
    "models:write": "upload models, which also orders a render of each; change and delete them",
    "renders:read": "look at renders, download their assets",
    "renders:write": "order, dismiss and delete renders",
    "overlays:read": "look at overlays",
    "overlays:write": "upload and delete overlays",
    "account:read": "look at the account and its credits; ask for a quote",
}
USE_NOTED_EVERY = timedelta(minutes=1)  # so that reading does not write each time


def create(db: Session, email: str, *, admin: bool = False, credits_: int = credits.FREE) -> Account:
    """A new account with its first credits. Raises ValueError when the address is taken."""
    if find(db, email):
        raise ValueError(f"There is an account for {email} already")
    account = Account(email=email, is_admin=admin, credits=credits_)
    db.add(account)
    db.flush()
    db.add(LedgerEntry(account_id=account.id, kind="grant", credits=credits_))
    counters.CREDITS.add(db, credits_, kind="grant")
    return account


def find(db: Session, email: str) -> Account | None:
    return db.scalar(select(Account).where(Account.email == email))


def create_key(
    db: Session, account: Account, *, scopes: list[str] | None = None, expires_at: datetime | None = None
) -> str:
    """A new key for the account: for everything, or for `scopes` alone; for good, or until it expires.

    Returns the raw key, which cannot be had a second time.
    """
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    raw = PREFIX + body + _check(body)
    db.add(Key(account_id=account.id, digest=_digest(raw), scopes=scopes, expires_at=expires_at))
    return raw


def keys_of(db: Session, account: Account) -> list[Key]:
    """All keys that the account ever had, oldest first."""
    return list(db.scalars(select(Key).where(Key.account_id == account.id).order_by(Key.created_at, Key.id)))


def revoke_key(db: Session, key: str) -> None:
    """End a key for good, given raw or by its id. Raises Unauthorized when it is no key in force of this farm."""
    row = _key(db, key) if key.startswith(PREFIX) else db.get(Key, key)
    if row is None or row.revoked_at:
        raise Unauthorized
    row.revoked_at = now()


def authenticate(db: Session, raw: str, scope: str) -> Key:
    """The key in force with its account, if it may do what `scope` names.

    Raises Unauthorized, TokenExpired, Forbidden for a suspended account, or InsufficientScope.
    """
    key = _key(db, raw)
    if key.expires_at and key.expires_at <= now():
        raise TokenExpired
    if key.account.suspended_at:
        raise Forbidden
    if key.scopes is not None and scope not in key.scopes:
        raise InsufficientScope(scope)
    return key


def use_is_worth_noting(key: Key) -> bool:
    """Whether the last use on record is so old that this one should replace it."""
    return key.last_used_at is None or key.last_used_at < now() - USE_NOTED_EVERY


def note_use(db: Session, key: Key) -> None:
    db.get_one(Key, key.id).last_used_at = now()


def _key(db: Session, raw: str) -> Key:
    body, check = raw[len(PREFIX) : -CHECK_LENGTH], raw[-CHECK_LENGTH:]
    well_formed = raw.startswith(PREFIX) and raw.isascii() and hmac.compare_digest(_check(body), check)
    if not well_formed:  # a typing error costs no look into the database
        raise Unauthorized
    digest = _digest(raw)
    key = db.scalar(select(Key).where(Key.digest == digest).options(joinedload(Key.account)))
    if key is None or key.revoked_at or not hmac.compare_digest(key.digest, digest):
        raise Unauthorized
    return key


def _digest(raw: str) -> str:
    # One round is enough: unlike a password, a key has 190 bits of chance and cannot be guessed from its digest.
    return hashlib.sha256(raw.encode()).hexdigest()


def _check(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits += ALPHABET[digit]
    return digits
