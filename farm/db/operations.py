"""Queries of the operator's pages: what chunks are for, and lists over all accounts. Each is a constant number."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.orm import Session, joinedload

from farm.db import gallery, lists
from farm.db.tables import Account, Asset, Chunk, Key, Model, Render


def renders_of_chunks(db: Session, chunk_ids: Collection[str]) -> dict[str, Render]:
    """By the id of the chunk: the oldest render that it is for, with its model."""
    of_chunk = and_(Render.shot_id == Chunk.shot_id, or_(Chunk.render_id.is_(None), Chunk.render_id == Render.id))
    wanted = select(Chunk.id, Render).join(Render, of_chunk).where(Chunk.id.in_(chunk_ids))
    rows = db.execute(wanted.options(joinedload(Render.model)).order_by(Render.created_at.desc(), Render.id.desc()))
    return dict(rows.tuples().all())


def pictures(db: Session, renders: Iterable[Render]) -> dict[str, str]:
    """By the id of the render: the render whose small still shows it, which is its own, or the newest of its model."""
    models = {render.id: render.model_id for render in renders}
    own = set(db.scalars(select(Asset.render_id).where(Asset.render_id.in_(models), Asset.kind == "thumb-still")))
    others = gallery.pictures(db, list({model for id_, model in models.items() if id_ not in own}))
    return {id_: id_ if id_ in own else others[model] for id_, model in models.items() if id_ in own or model in others}


def with_contents(db: Session, contents: Collection[tuple[str, str]]) -> dict[tuple[str, str], Model]:
    """The models that are not deleted, by the ids of their accounts and their contents, which are given as pairs."""
    wanted = tuple_(Model.account_id, Model.sha256).in_(contents)
    rows = db.scalars(select(Model).where(wanted, Model.deleted_at.is_(None)))
    return {(model.account_id, model.sha256): model for model in rows}


def accounts(db: Session, text: str, *, limit: int, offset: int) -> tuple[list[Account], int]:
    """One page of the accounts with this id, or with the text in their address, in alphabetical order; and how many."""
    wanted = [or_(Account.id == text, lists.contains(text, Account.email))] if text else []
    total = db.scalar(select(func.count()).select_from(Account).where(*wanted)) or 0
    rows = select(Account).where(*wanted).order_by(Account.email).limit(limit).offset(offset)
    return list(db.scalars(rows)), total


def key_counts(db: Session, account_ids: Sequence[str]) -> dict[str, int]:
    """By account: the number of its keys that are not revoked; accounts without one are left out."""
    keys = select(Key.account_id, func.count()).where(Key.account_id.in_(account_ids), Key.revoked_at.is_(None))
    return dict(db.execute(keys.group_by(Key.account_id)).tuples().all())
