"""Accounts and their API keys. A raw key is shown once; the database holds its digest alone."""

import hashlib
import hmac
import secrets
import zlib

from sqlalchemy import select
from sqlalchemy.orm import Session

from farm.db.tables import ALPHABET, Account, Key, now
from farm.errors import Forbidden, Unauthorized

PREFIX = "dxgl_sk_"
RANDOM_LENGTH, CHECK_LENGTH = 32, 6


def create(db: Session, email: str, *, admin: bool = False) -> Account:
    """A new account. Raises ValueError when the address is taken."""
    if find(db, email):
        raise ValueError(f"There is an account for {email} already")
    account = Account(email=email, is_admin=admin)
    db.add(account)
    db.flush()
    return account


def find(db: Session, email: str) -> Account | None:
    return db.scalar(select(Account).where(Account.email == email))


def create_key(db: Session, account: Account) -> str:
    """A new key for the account. Returns the raw key, which cannot be had a second time."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    raw = PREFIX + body + _check(body)
    db.add(Key(account_id=account.id, digest=_digest(raw)))
    return raw


def revoke_key(db: Session, raw: str) -> None:
    """End a key for good. Raises Unauthorized when it is not a key of this farm."""
    _key(db, raw).revoked_at = now()


def authenticate(db: Session, raw: str) -> Account:
    """The account that a raw key belongs to. Raises Unauthorized, or Forbidden for a suspended account."""
    account = _key(db, raw).account
    if account.suspended_at:
        raise Forbidden
    return account


def _key(db: Session, raw: str) -> Key:
    body, check = raw[len(PREFIX) : -CHECK_LENGTH], raw[-CHECK_LENGTH:]
    well_formed = raw.startswith(PREFIX) and raw.isascii() and hmac.compare_digest(_check(body), check)
    if not well_formed:  # a typing error costs no look into the database
        raise Unauthorized
    digest = _digest(raw)
    key = db.scalar(select(Key).where(Key.digest == digest))
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
