"""Accounts and their API keys. A raw key is shown once; the database stores only its digest."""

import hashlib
import hmac
import re
import secrets
import zlib
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, joinedload

from farm.accounts import credits
from farm.db import chunks, clock, counters
from farm.db.accounts import find_account, key_with_digest
from farm.db.tables import Account, Key, LedgerEntry
from farm.errors import Forbidden, InsufficientScope, InvalidRequest, TokenExpired, Unauthorized
from farm.ids import ALPHABET

PREFIX = "dxgl_sk_"
RANDOM_LENGTH, CHECK_LENGTH = 32, 6

# Every scope, with what it permits.
SCOPES = {
    "models:read": "read models, download their files",
    "models:write": "upload models, which also orders a render of each; change and delete models",
    "renders:read": "read renders, download their assets",
    "renders:write": "order, dismiss and delete renders",
    "overlays:read": "read overlays",
    "overlays:write": "upload and delete overlays",
    "account:read": "read the account and its credits; request a quote",
    "admin:read": "see the renders and the queue of all accounts; admin accounts only",
    "admin:write": "cancel, retry and put first renders of all accounts; admin accounts only",
}
ADMIN_PREFIX = "admin:"  # of the scopes that only keys of admin accounts have
EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")
MAX_EMAIL_LENGTH = 320
MAX_TAG_LENGTH = 100
MAX_KEY_NAME_LENGTH = 100
USE_RECORDED_EVERY = timedelta(minutes=1)  # so that not every read request writes


def create(db: Session, email: str, *, admin: bool = False, credits_: int = credits.FREE) -> Account:
    """Create an account with its first credits.

    Raises ValueError for what is no email address, and when there is an account for this one.
    """
    if not EMAIL.fullmatch(email) or len(email) > MAX_EMAIL_LENGTH:
        raise ValueError(f"{email!r} is not an email address such as you@example.com")
    if find_account(db, email):
        raise ValueError(f"There is already an account for {email}")
    account = Account(email=email, is_admin=admin, credits=credits_)
    db.add(account)
    db.flush()
    db.add(LedgerEntry(account_id=account.id, kind="grant", credits=credits_))
    counters.CREDITS.add(db, credits_, kind="grant")
    return account


def bind(db: Session, account: Account, tag: str | None) -> None:
    """Let only nodes with a tag work for the account, also on what waits already; all nodes with `tag` None.

    Raises ValueError for what no tag of a node can be.
    """
    if tag is not None and (not tag.strip() or "," in tag or len(tag) > MAX_TAG_LENGTH):
        raise ValueError(f"A tag has 1 to {MAX_TAG_LENGTH} characters and no comma, unlike {tag!r}")
    chunks.move_back(db, account.id)  # it may have waited for long until its old tag's nodes came
    account.node_tag = tag.strip() if tag else None


def create_key(
    db: Session,
    account: Account,
    *,
    name: str | None = None,
    scopes: list[str] | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Create a key for the account, with all scopes or only `scopes`, permanent or valid until `expires_at`.

    `name` says what it is for. Returns the raw key, which cannot be read again later. Raises InvalidRequest for a time
    that has passed.
    """
    if expires_at is not None and expires_at <= clock.now(db):
        raise InvalidRequest(f"A key must expire in the future, unlike at {expires_at.isoformat(timespec='seconds')}")
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    raw = PREFIX + body + _check(body)
    db.add(Key(account_id=account.id, digest=_digest(raw), name=name, scopes=scopes, expires_at=expires_at))
    return raw


def revoke_key(db: Session, key: str) -> Key:
    """Revoke a key by its raw text or its id. Raises Unauthorized when it is not a valid key of this farm."""
    row = _key(db, key) if key.startswith(PREFIX) else db.get(Key, key)
    if row is None or row.revoked_at:
        raise Unauthorized
    row.revoked_at = clock.now(db)
    return row


def roll_key(db: Session, account_id: str, key_id: str, overlap: timedelta) -> str:
    """Replace a key by one with the same name, scopes and expiry; the old one stays valid for `overlap`.

    Returns the new raw key. Raises Unauthorized unless it is a valid key of the account.
    """
    old = _valid_key(db, account_id, key_id)
    raw = create_key(db, old.account, name=old.name, scopes=old.scopes, expires_at=old.expires_at)
    ends = clock.now(db) + overlap
    old.expires_at = min(old.expires_at, ends) if old.expires_at else ends
    return raw


def revoke_own_key(db: Session, account_id: str, key_id: str) -> None:
    """Revoke a key of the account. Raises Unauthorized unless it is a valid one."""
    _valid_key(db, account_id, key_id).revoked_at = clock.now(db)


def _valid_key(db: Session, account_id: str, key_id: str) -> Key:
    key = db.get(Key, key_id, with_for_update=True)
    if key is None or key.account_id != account_id or key.revoked_at:
        raise Unauthorized("This is not a key of this account, or it was already revoked")
    if key.expires_at and key.expires_at <= clock.now(db):
        raise TokenExpired
    return key


def authenticate(db: Session, raw: str, scope: str) -> Key:
    """The valid key, its account loaded, if it has the scope.

    Raises Unauthorized, TokenExpired, InsufficientScope, or Forbidden for a suspended account, and for one that is no
    admin if the scope is an operator's.
    """
    key = _key(db, raw)
    _check_allowed(db, key, scope)
    return key


def check_again(db: Session, key_id: str, scope: str) -> None:
    """Raises the same errors as `authenticate` if the key or its account has become invalid since."""
    key = db.get(Key, key_id, options=[joinedload(Key.account)])  # one query: both may be erased before the next
    if key is None or key.revoked_at:
        raise Unauthorized
    _check_allowed(db, key, scope)


def _check_allowed(db: Session, key: Key, scope: str) -> None:
    if key.expires_at and key.expires_at <= clock.now(db):
        raise TokenExpired
    if key.account.suspended_at:
        raise Forbidden
    if key.scopes is not None and scope not in key.scopes:
        raise InsufficientScope(scope)
    if scope.startswith(ADMIN_PREFIX) and not key.account.is_admin:
        raise Forbidden("Only admin accounts may make this call")


def is_use_recorded_long_ago(db: Session, key: Key) -> bool:
    """Whether the recorded last use is so old that it should be updated."""
    return key.last_used_at is None or key.last_used_at < clock.now(db) - USE_RECORDED_EVERY


def record_use(db: Session, key: Key) -> None:
    """Record that a key is used now; does nothing if it was deleted with its account."""
    if row := db.get(Key, key.id, with_for_update=True):
        row.last_used_at = clock.now(db)


def _key(db: Session, raw: str) -> Key:
    body, check = raw[len(PREFIX) : -CHECK_LENGTH], raw[-CHECK_LENGTH:]
    well_formed = raw.startswith(PREFIX) and raw.isascii() and hmac.compare_digest(_check(body), check)
    if not well_formed:  # a typing error costs no query
        raise Unauthorized
    digest = _digest(raw)
    key = key_with_digest(db, digest)
    if key is None or key.revoked_at or not hmac.compare_digest(key.digest, digest):
        raise Unauthorized
    return key


def _digest(raw: str) -> str:
    # One round is enough: unlike a password, a key has 190 random bits and cannot be guessed from its digest.
    return hashlib.sha256(raw.encode()).hexdigest()


def _check(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits += ALPHABET[digit]
    return digits
