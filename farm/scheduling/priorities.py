"""Puts a render first, as an operator decides."""

from sqlalchemy.orm import Session

from farm.db import chunks
from farm.db.tables import Render
from farm.errors import Conflict


def put_first(db: Session, render: Render) -> None:
    """Give the next turn to the waiting chunks of a locked render. Raises Conflict when none of them waits."""
    if not chunks.put_first(db, render.shot_id):
        raise Conflict(f"No part of {render.id} waits: its status is {render.status}")
