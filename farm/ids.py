"""The format of public ids, so that no other client input reaches a query."""

import re

ID = re.compile(r"[A-Za-z0-9]{12}")


def well_formed(text: str) -> bool:
    """Whether `text` can be an id. Databases fail on NUL and lone surrogates, which a client may send."""
    return ID.fullmatch(text) is not None
