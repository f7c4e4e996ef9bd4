"""Every query about renders and their assets."""

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, selectinload

from farm.db.ids import well_formed
from farm.db.tables import Asset, Chunk, Render, Shot
from farm.errors import RenderNotFound

WITH_DETAIL = (selectinload(Render.assets), selectinload(Render.shot).selectinload(Shot.chunks))


def owned(db: Session, account_id: str, render_id: str) -> Render:
    """One render of the account with its assets and chunks. Raises RenderNotFound, also for another account's."""
    render = db.get(Render, render_id, options=WITH_DETAIL) if well_formed(render_id) else None
    if render is None or render.account_id != account_id:
        raise RenderNotFound
    return render


def page(
    db: Session, account_id: str, *, model_id: str | None, status: str | None, limit: int, offset: int
) -> tuple[list[Render], int]:
    """The account's renders, newest first: one page of them, and how many there are in all."""
    wanted = select(Render).where(Render.account_id == account_id)
    if model_id is not None:
        if not well_formed(model_id):
            return [], 0
        wanted = wanted.where(Render.model_id == model_id)
    if status is not None:
        wanted = wanted.where(Render.status == status)
    total = db.scalar(select(func.count()).select_from(wanted.subquery())) or 0
    newest = wanted.order_by(Render.created_at.desc(), Render.id.desc()).limit(limit).offset(offset)
    return list(db.scalars(newest.options(*WITH_DETAIL))), total


def remove(db: Session, render: Render) -> list[str]:
    """Delete a render and, when no other uses it, its shot. Returns the storage keys of the files now unwanted."""
    keys = list(db.scalars(select(Asset.storage_key).where(Asset.render_id == render.id)))
    db.execute(delete(Asset).where(Asset.render_id == render.id))
    db.execute(delete(Render).where(Render.id == render.id))
    if db.scalar(select(Render.id).where(Render.shot_id == render.shot_id).limit(1)) is None:
        db.execute(delete(Chunk).where(Chunk.shot_id == render.shot_id))
        db.execute(delete(Shot).where(Shot.id == render.shot_id))
    return keys
