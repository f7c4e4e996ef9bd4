"""What the operator's pages show as text, and what the audit has of them."""

import html
import re

from farm.db import audit
from farm.db.session import Database
from tests.support.portal import Browser


def shown(operator: Browser, path: str) -> str:
    """The text of a page, without tags, with one space for any."""
    response = operator.get(path)
    assert response.status_code == 200, response.text
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", response.text)).split())


def audited(database: Database) -> list[tuple[str, str, str]]:
    """Who did what to what, the newest first."""
    with database.read() as db:
        return [(entry.actor, entry.action, entry.target) for entry in audit.newest(db, account_id=None, limit=100)]
