"""Overlays as rows, without a file."""

from farm.db.session import Database
from farm.db.tables import Account, Overlay


def add_overlay(database: Database, account: Account, name: str = "Wall", *, published: bool = False) -> str:
    """An overlay of the account; returns its id."""
    with database.write() as db:
        row = Overlay(
            account_id=account.id,
            layer="background",
            name=name,
            alignment="top-left",
            published=published,
            storage_key="x",
            content_type="image/jpeg",
            width=1,
            height=1,
            file_size=1,
        )
        db.add(row)
        db.flush()
        return row.id
