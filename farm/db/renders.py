"""Every query about renders and their assets."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, func, select, union
from sqlalchemy.orm import Session

from farm.db import chunks, cleanups
from farm.db.tables import Asset, Chunk, Render, Segment, Shot
from farm.errors import RenderNotFound
from farm.ids import well_formed


class Detail(NamedTuple):
    """A render with its progress in frames, and the size of its video or dataset in bytes, once there is one."""

    render: Render
    frames: int
    frames_done: int
    file_size: int | None
    has_web_variant: bool


def owned(db: Session, account_id: str, render_id: str, *, lock: bool = False) -> Render:
    """One render of the account. Raises RenderNotFound, also for another account's.

    With `lock`, no other transaction changes its status until this one ends.
    """
    render = db.get(Render, render_id) if well_formed(render_id) else None
    if render and lock:
        chunks.lock_shot(db, render.shot_id)
        render = db.get(Render, render_id, with_for_update=True, populate_existing=True)
    if render is None or render.account_id != account_id:
        raise RenderNotFound
    return render


def detail(db: Session, account_id: str, render_id: str) -> Detail:
    """As `owned`, with its progress and file size, in one query."""
    wanted = (Render.id == render_id, Render.account_id == account_id)
    row = db.execute(_details().where(*wanted)).one_or_none() if well_formed(render_id) else None
    if row is None:
        raise RenderNotFound
    return Detail(*row)


def page(
    db: Session, account_id: str, *, model_id: str | None, status: str | None, limit: int, offset: int
) -> tuple[list[Detail], int]:
    """The account's renders, newest first: one page of them, and their total number."""
    wanted = [Render.account_id == account_id]
    if model_id is not None:
        if not well_formed(model_id):
            return [], 0
        wanted.append(Render.model_id == model_id)
    if status is not None:
        wanted.append(Render.status == status)
    total = db.scalar(select(func.count()).select_from(Render).where(*wanted)) or 0
    newest = (Render.created_at.desc(), Render.id.desc())
    # The ids first, from an index only: a large offset then skips index entries instead of whole rows.
    ids = list(db.scalars(select(Render.id).where(*wanted).order_by(*newest).limit(limit).offset(offset)))
    rows = db.execute(_details().where(Render.id.in_(ids)).order_by(*newest))
    return [Detail(*row) for row in rows], total


def _details() -> Select[Any]:
    frames_done = select(func.coalesce(func.sum(Chunk.frames_done), 0)).where(Chunk.shot_id == Render.shot_id)
    video_size = select(Asset.size).where(Asset.render_id == Render.id, Asset.kind.in_(("video", "dataset")))
    web = select(Asset.id).where(Asset.render_id == Render.id, Asset.kind == "web").exists()
    return select(Render, Shot.frames, frames_done.scalar_subquery(), video_size.scalar_subquery(), web).join(
        Shot, Shot.id == Render.shot_id
    )


def of_shot(db: Session, shot_id: str) -> list[Render]:
    """The renders of a shot, oldest first, as they are now."""
    wanted = select(Render).where(Render.shot_id == shot_id).order_by(Render.created_at, Render.id)
    return list(db.scalars(wanted, execution_options={"populate_existing": True}))


def unfinished(db: Session, render_id: str, over: Sequence[str]) -> Render | None:
    """The render, unless it was deleted or has one of the statuses `over`."""
    return db.scalar(select(Render).where(Render.id == render_id, Render.status.not_in(over)))


def previews(db: Session, model_id: str) -> list[Render]:
    """The system previews of a model."""
    return list(db.scalars(select(Render).where(Render.model_id == model_id, Render.is_system_preview)))


def add_assets(db: Session, assets: Sequence[Asset]) -> list[str]:
    """Store assets of one render. Returns the storage keys of the assets of the same kinds that they replace."""
    same = (Asset.render_id == assets[0].render_id, Asset.kind.in_([asset.kind for asset in assets]))
    replaced = list(db.scalars(delete(Asset).where(*same).returning(Asset.storage_key)))
    db.add_all(assets)
    return replaced


def segments(db: Session, render_id: str) -> list[Segment]:
    """The parts of a render's files that its chunks have stored so far."""
    return list(db.scalars(select(Segment).where(Segment.render_id == render_id)))


def drop_segments(db: Session, render_id: str) -> None:
    """Delete a render's segments, which it no longer needs; a cleanup removes their files."""
    db.execute(delete(Segment).where(Segment.render_id == render_id))


def drop_segments_of_chunk(db: Session, chunk_id: str) -> None:
    db.execute(delete(Segment).where(Segment.chunk_id == chunk_id))


def remove(db: Session, render: Render) -> list[str]:
    """Delete a render and, when no other uses it, its shot. Returns the storage keys of its files, now unused."""
    files = (select(table.storage_key).where(table.render_id == render.id) for table in (Asset, Segment))
    keys = list(db.scalars(union(*files)))
    for table in (Asset, Segment, Chunk):
        db.execute(delete(table).where(table.render_id == render.id))
    db.execute(delete(Render).where(Render.id == render.id))
    if db.scalar(select(Render.id).where(Render.shot_id == render.shot_id).limit(1)) is None:
        db.execute(delete(Chunk).where(Chunk.shot_id == render.shot_id))
        db.execute(delete(Shot).where(Shot.id == render.shot_id))
    cleanups.schedule(db, render.id)
    return keys
