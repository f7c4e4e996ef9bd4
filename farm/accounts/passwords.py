"""Passwords of accounts: argon2id digests, made and checked outside transactions, as each takes a tenth of a second."""

import secrets
import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from farm.errors import InvalidRequest
from farm.ids import ALPHABET

MIN_LENGTH, MAX_LENGTH = 12, 256
GENERATED_LENGTH = 24  # 142 random bits
MAX_CONCURRENT = 4  # each takes 64 MiB of memory

_hasher = PasswordHasher()  # the parameters for little memory of RFC 9106
_turns = threading.BoundedSemaphore(MAX_CONCURRENT)


def digest(password: str) -> str:
    """The digest of a new password. Raises InvalidRequest when it is too short or too long."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidRequest(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters")
    with _turns:
        return _hasher.hash(password)


def is_right(password: str, digest: str | None) -> bool:
    """Whether the password has this digest. Without a digest it takes as long, so that no one learns of an account."""
    if len(password) > MAX_LENGTH:
        return False
    other = _digest_of_none()
    with _turns:
        try:
            return _hasher.verify(digest or other, password) and digest is not None
        except (VerificationError, InvalidHashError):
            return False


def generate() -> str:
    """A random password."""
    return "".join(secrets.choice(ALPHABET) for _ in range(GENERATED_LENGTH))


@cache
def _digest_of_none() -> str:
    return _hasher.hash(generate())
