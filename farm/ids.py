"""What a public id looks like, so that nothing else from a client ever reaches a query."""

import re

ID = re.compile(r"[A-Za-z0-9]{12}")


def well_formed(text: str) -> bool:
    """Whether `text` can be an id. Databases choke on NUL and lone surrogates, and a client may send both."""
    return ID.fullmatch(text) is not None
