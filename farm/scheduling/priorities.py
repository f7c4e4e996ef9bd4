"""Puts a render first, as an operator decides."""

from sqlalchemy.orm import Session

from farm.db import chunks
from farm.db.tables import Render
from farm.errors import Conflict


def put_first(db: Session, render: Render) -> None:
    """Give the next turn to the waiting chunks of a locked render.

    Raises Conflict when none of them waits, or all wait for the account to be resumed.
    """
    if render.account.suspended_at:
        raise Conflict(f"{render.id} waits until its account, {render.account.email}, is resumed")
    if not chunks.put_first(db, render.account_id, render.shot_id):
        raise Conflict(f"No part of {render.id} waits: its status is {render.status}")
