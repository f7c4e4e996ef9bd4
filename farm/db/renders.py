"""Every query about renders and their assets."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, null, or_, select, union
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.sql.base import ExecutableOption

from farm.db import chunks, cleanups, lists
from farm.db.lists import Listing
from farm.db.models import has_text
from farm.db.tables import Account, Asset, AttemptLog, Chunk, Model, Render, Segment, Shot
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
    render = find(db, render_id)
    if render and lock:
        render = locked(db, render_id)
    if render is None or render.account_id != account_id:
        raise RenderNotFound
    return render


def find(db: Session, render_id: str) -> Render | None:
    """Any account's render."""
    return db.get(Render, render_id) if well_formed(render_id) else None


def locked(db: Session, render_id: str) -> Render | None:
    """Any account's render, as it is now. No other transaction changes its status until this one ends."""
    if not well_formed(render_id):
        return None
    if shot_id := db.scalar(select(Render.shot_id).where(Render.id == render_id)):
        chunks.lock_shot(db, shot_id)
    return db.get(Render, render_id, with_for_update=True, populate_existing=True)


def detail(db: Session, account_id: str, render_id: str) -> Detail:
    """As `owned`, with its progress and file size, in one query."""
    wanted = (Render.id == render_id, Render.account_id == account_id)
    row = db.execute(details().where(*wanted)).one_or_none() if well_formed(render_id) else None
    if row is None:
        raise RenderNotFound
    return Detail(*row)


def page(
    db: Session,
    account_id: str,
    listing: Listing,
    *,
    models: Sequence[str],
    statuses: Sequence[str],
    metadata: Sequence[tuple[str, str]],
) -> tuple[list[Detail], int]:
    """The account's renders: one page of them, and their total number.

    The text is looked for in their models. Only renders that have all of these `models` (ids) and of the pairs in
    `metadata`.
    """
    wanted = [Render.account_id == account_id, *lists.conditions(Render, listing)]
    if not all(map(well_formed, models)):
        return [], 0
    wanted += [Render.model_id == model_id for model_id in models]
    if statuses:
        wanted.append(Render.status.in_(statuses))
    if listing.text:
        wanted.append(
            Render.model_id.in_(select(Model.id).where(Model.account_id == account_id, has_text(listing.text)))
        )
    wanted += [Render.client_metadata[key].as_string() == value for key, value in metadata]
    return _page(db, wanted, listing)


def page_of_all(
    db: Session,
    listing: Listing,
    *,
    statuses: Sequence[str] = (),
    account: str = "",
    node: str = "",
    created_before: datetime | None = None,
    search: str = "",
) -> tuple[list[Detail], int]:
    """The renders of all accounts, with these, their models and shots: one page of them, and their total number.

    The text is looked for in their errors. Only those with one of the `statuses`, of the account with this id or email
    address, that this node has worked on, and created before a time, where these are given. `search` is the id of a
    render, account or model, or a part of an account's address or of what a model is called.
    """
    wanted = lists.conditions(Render, listing)
    if statuses:
        wanted.append(Render.status.in_(statuses))
    if account:
        named = select(Account.id).where(or_(Account.id == account, Account.email == account))
        wanted.append(Render.account_id.in_(named))
    if node:
        attempted = select(AttemptLog.chunk_id).where(AttemptLog.worker == node)
        wanted.append(exists().where(_is_part, or_(Chunk.worker == node, Chunk.id.in_(attempted))))
    if created_before:
        wanted.append(Render.created_at < created_before)
    if listing.text:
        wanted.append(lists.contains(listing.text, Render.error_message))
    if search:
        accounts = select(Account.id).where(lists.contains(search, Account.email))
        models = select(Model.id).where(has_text(search))
        ids = (column == search for column in (Render.id, Render.account_id, Render.model_id))
        wanted.append(or_(*ids, Render.account_id.in_(accounts), Render.model_id.in_(models)))
    related = (Render.account, Render.model, Render.shot)
    return _page(db, wanted, listing, *map(joinedload, related))


def _page(
    db: Session, wanted: Sequence[ColumnElement[bool]], listing: Listing, *options: ExecutableOption
) -> tuple[list[Detail], int]:
    total = db.scalar(select(func.count()).select_from(Render).where(*wanted)) or 0
    columns = {"createdAt": Render.created_at, "updatedAt": Render.updated_at}
    order = lists.order(Render, listing.sort, columns)
    # The ids first, from an index only: a large offset then skips index entries instead of whole rows.
    page = select(Render.id).where(*wanted).order_by(*order).limit(listing.limit).offset(listing.offset)
    rows = db.execute(details().options(*options).where(Render.id.in_(list(db.scalars(page)))).order_by(*order))
    return [Detail(*row) for row in rows], total


def workers(db: Session, render_ids: Sequence[str]) -> dict[str, list[str]]:
    """By render id: the workers that hold its chunks, or else those that have worked on them, sorted."""
    parts = select(Render.id, Chunk.worker, Chunk.state).join(Chunk, _is_part)
    before = select(Render.id, AttemptLog.worker, null()).join(Chunk, _is_part)
    before = before.join(AttemptLog, AttemptLog.chunk_id == Chunk.id)
    found: dict[str, dict[bool, set[str]]] = {id_: {True: set(), False: set()} for id_ in render_ids}
    for some in (parts, before):
        for id_, worker, state in db.execute(some.where(Render.id.in_(render_ids))):
            if worker:
                found[id_][state == "running"].add(worker)
    return {id_: sorted(sets[True] or sets[False]) for id_, sets in found.items()}


_is_part = and_(Chunk.shot_id == Render.shot_id, or_(Chunk.kind == "draw", Chunk.render_id == Render.id))


def details() -> Select[Any]:
    """The columns of a Detail, of all renders."""
    frames_done = select(func.coalesce(func.sum(Chunk.frames_done), 0)).where(Chunk.shot_id == Render.shot_id)
    video_size = select(Asset.size).where(Asset.render_id == Render.id, Asset.kind.in_(("video", "dataset")))
    web = select(Asset.id).where(Asset.render_id == Render.id, Asset.kind == "web").exists()
    found = select(Render, Shot.frames, frames_done.scalar_subquery(), video_size.scalar_subquery(), web)
    return found.join(Shot, Shot.id == Render.shot_id)


def of_shot(db: Session, shot_id: str) -> list[Render]:
    """The renders of a shot, oldest first, as they are now."""
    wanted = select(Render).where(Render.shot_id == shot_id).order_by(Render.created_at, Render.id)
    return list(db.scalars(wanted, execution_options={"populate_existing": True}))


def unfinished(db: Session, render_id: str, over: Sequence[str]) -> Render | None:
    """The render, unless it was deleted or has one of the statuses `over`."""
    return db.scalar(select(Render).where(Render.id == render_id, Render.status.not_in(over)))


def previews(db: Session, model_id: str) -> list[Render]:
    """The system previews of a model, in the order in which their shots are locked."""
    wanted = select(Render).where(Render.model_id == model_id, Render.is_system_preview)
    return list(db.scalars(wanted.order_by(Render.shot_id)))


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


def drop_assets(db: Session, render_id: str) -> None:
    """Delete the assets of a render that is refunded; a cleanup removes their files."""
    db.execute(delete(Asset).where(Asset.render_id == render_id))


def drop_segments_of_chunk(db: Session, chunk_id: str) -> None:
    db.execute(delete(Segment).where(Segment.chunk_id == chunk_id))


def remove(db: Session, render: Render) -> list[str]:
    """Delete a render and, when no other uses it, its shot. Returns the storage keys of its files, now unused."""
    files = (select(table.storage_key).where(table.render_id == render.id) for table in (Asset, Segment))
    keys = list(db.scalars(union(*files)))
    for table in (Asset, Segment, Chunk):
        db.execute(delete(table).where(table.render_id == render.id))
    db.execute(delete(Render).where(Render.id == render.id))
    _drop_unused_shot(db, render.shot_id)
    cleanups.schedule(db, render.id)
    return keys


def move(db: Session, render: Render, shot: Shot) -> None:
    """Give a render another shot; the one that it had is deleted if no other render uses it."""
    db.execute(delete(Chunk).where(Chunk.render_id == render.id))
    left, render.shot = render.shot_id, shot
    db.flush()
    _drop_unused_shot(db, left)


def _drop_unused_shot(db: Session, shot_id: str) -> None:
    if db.scalar(select(Render.id).where(Render.shot_id == shot_id).limit(1)) is None:
        db.execute(delete(Chunk).where(Chunk.shot_id == shot_id))
        db.execute(delete(Shot).where(Shot.id == shot_id))


def finished(db: Session, finished_before: datetime, over: Sequence[str], *, limit: int) -> list[str]:
    """The ids of renders that reached one of the statuses `over` before that time, any `limit` of them."""
    wanted = select(Render.id).where(Render.status.in_(over), Render.updated_at < finished_before)
    return list(db.scalars(wanted.order_by(func.random()).limit(limit)))


def ids_of_model(db: Session, model_id: str) -> list[str]:
    """The ids of all renders of a model, in the order in which their shots are locked."""
    return list(db.scalars(select(Render.id).where(Render.model_id == model_id).order_by(Render.shot_id)))
