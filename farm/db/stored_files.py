"""Every query that compares the storage with the rows that name its files."""

from collections.abc import Collection, Iterator
from itertools import chain

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from farm.db.tables import Asset, Model, Overlay, Render, Segment

ROWS_AT_ONCE = 1000


def named(db: Session) -> set[str]:
    """The storage keys that rows name, also those of models and overlays that are deleted but still have a file."""
    keys = (
        select(Model.storage_key).where(Model.has_file),
        *(select(table.storage_key) for table in (Overlay, Asset, Segment)),
    )
    return set(chain.from_iterable(db.scalars(wanted.execution_options(yield_per=ROWS_AT_ONCE)) for wanted in keys))


def needed(db: Session) -> Iterator[tuple[str, str, str]]:
    """The kind and id of each row that needs a file, and the file's storage key."""
    rows = (
        select(literal("model"), Model.id, Model.storage_key).where(Model.has_file, Model.deleted_at.is_(None)),
        select(literal("overlay"), Overlay.id, Overlay.storage_key).where(Overlay.deleted_at.is_(None)),
        *(select(literal("render"), table.render_id, table.storage_key) for table in (Asset, Segment)),
    )
    for wanted in rows:
        yield from db.execute(wanted.execution_options(yield_per=ROWS_AT_ONCE))


def unfinished_renders(db: Session, over: Collection[str]) -> set[str]:
    """The ids of renders with a status that is not `over`: workers may leave files of theirs until the end."""
    return set(db.scalars(select(Render.id).where(Render.status.not_in(over))))
