"""Erasure of an account: all its rows and files. Its entries of the ledger stay, but no longer name it."""

from sqlalchemy.orm import Session

from farm.db import holdings
from farm.db.holdings import Holdings
from farm.errors import Conflict, NotFound


def erase(db: Session, account_id: str, over: tuple[str, ...]) -> tuple[Holdings, list[str]]:
    """Delete an account with everything that it owns; workers that are busy with its renders discard them.

    `over` are the statuses of renders that need no overlay any more. Returns what was deleted, and the storage keys of
    the files, to be removed after the commit; the reaper removes those that are left. Raises NotFound, or Conflict
    while another account's render needs an overlay that this one has published.
    """
    if holdings.lock(db, account_id) is None:
        raise NotFound("The account was deleted")
    if needed := holdings.uses_by_others(db, account_id, over):
        raise Conflict(
            f"{needed} unfinished renders of other accounts use overlays that this account has published: unpublish"
            " them, and wait until these renders are over"
        )
    found, files = holdings.of(db, account_id), holdings.files(db, account_id)
    holdings.remove(db, account_id)
    return found, files
