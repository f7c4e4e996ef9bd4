"""Every query about everything that one account owns, in order to erase it."""

from typing import NamedTuple

from sqlalchemy import delete, exists, func, select, union
from sqlalchemy.orm import Session

from farm.db import cleanups, clock, nodes, overlays, quotas
from farm.db.tables import Account, Asset, Cleanup, Key, Model, Overlay, Render, Segment, Shot, SuspectModel


class Holdings(NamedTuple):
    """Numbers of an account's rows, of its files, and the bytes of the files. Deleted models and overlays count."""

    keys: int
    models: int
    overlays: int
    renders: int
    files: int
    bytes: int


def of(db: Session, account_id: str) -> Holdings:
    """What erasing the account removes."""
    keys, models, pictures, renders = (
        db.scalar(select(func.count()).where(table.account_id == account_id)) or 0
        for table in (Key, Model, Overlay, Render)
    )
    size = quotas.usage(db, account_id).bytes
    return Holdings(keys, models, pictures, renders, len(files(db, account_id)), size)


def files(db: Session, account_id: str) -> list[str]:
    """The storage keys of all files of the account."""
    of_renders = (
        select(table.storage_key).join(Render, Render.id == table.render_id).where(Render.account_id == account_id)
        for table in (Asset, Segment)
    )
    of_models = select(Model.storage_key).where(Model.account_id == account_id, Model.has_file)
    of_overlays = select(Overlay.storage_key).where(Overlay.account_id == account_id)
    return list(db.scalars(union(of_models, of_overlays, *of_renders)))


def lock(db: Session, account_id: str) -> Account | None:
    """The account as it is now. No other transaction changes it or anything that it owns until this one ends."""
    shots = select(Shot.id).join(Shot.model).where(Model.account_id == account_id).order_by(Shot.id)
    db.execute(shots.with_for_update(of=Shot))
    return db.get(Account, account_id, with_for_update=True, populate_existing=True)


def uses_by_others(db: Session, account_id: str, over: tuple[str, ...]) -> int:
    """The number of other accounts' renders with a status that is not `over` and an overlay of this account."""
    uses_one = exists().where(Overlay.account_id == account_id, overlays.uses_overlay())
    others = select(func.count()).where(Render.account_id != account_id, Render.status.not_in(over), uses_one)
    return db.scalar(others) or 0


def remove(db: Session, account_id: str) -> None:
    """Delete the account and, by the foreign keys, all its rows, and plan the removal of all its files.

    Nodes forget the failures of its models. The ledger's rows stay, without the account.
    """
    at = clock.now(db)
    for row in db.scalars(select(Model).where(Model.account_id == account_id, Model.has_file)):
        db.add(Cleanup(prefix=row.storage_key, due_at=at))
    for key in db.scalars(select(Overlay.storage_key).where(Overlay.account_id == account_id)):
        db.add(Cleanup(prefix=key, due_at=at))
    for render_id in db.scalars(select(Render.id).where(Render.account_id == account_id)):
        cleanups.schedule(db, render_id)
    db.execute(delete(Account).where(Account.id == account_id), execution_options={"synchronize_session": False})
    nodes.forget_failures(db, account_id)
    db.execute(delete(SuspectModel).where(SuspectModel.account_id == account_id))
