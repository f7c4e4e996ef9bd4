"""Public ids: 12 letters and digits. Nothing else from a client ever reaches a query as an id."""

import re
import secrets
import string

ALPHABET = string.ascii_letters + string.digits
LENGTH = 12
ID = re.compile(f"[A-Za-z0-9]{{{LENGTH}}}")


def new_id() -> str:
    """A random id of 71 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def well_formed(text: str) -> bool:
    """Whether `text` can be an id. Databases reject NUL and lone surrogates, and a client may send both."""
    return ID.fullmatch(text) is not None
