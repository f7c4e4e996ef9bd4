"""Every query about models."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.orm import Session, selectinload

from farm.db import clock, lists
from farm.db.lists import Listing
from farm.db.session import rows_changed
from farm.db.tables import Model, Render, Tag
from farm.errors import ModelNotFound, UploadLimit
from farm.ids import well_formed

MAX_RENDERS_SHOWN = 100  # with a model


class Detail(NamedTuple):
    """A model with its system preview and newest renders, oldest first, and the number of all its renders."""

    model: Model
    renders: list[Render]
    renders_total: int


def owned(db: Session, account_id: str, model_id: str) -> Model:
    """One model of the account. Raises ModelNotFound, also for another account's model and for a deleted one."""
    model = db.get(Model, model_id) if well_formed(model_id) else None
    if model is None or model.account_id != account_id or model.deleted_at:
        raise ModelNotFound
    return model


def detail(db: Session, account_id: str, model_id: str) -> Detail:
    """As `owned`, with its system preview and its newest renders."""
    model = owned(db, account_id, model_id)
    all_ = (Render.model_id == model.id, Render.account_id == account_id)
    newest = select(Render).where(*all_).order_by(Render.created_at.desc(), Render.id.desc()).limit(MAX_RENDERS_SHOWN)
    renders = list(db.scalars(newest))[::-1]
    total = len(renders)
    if total == MAX_RENDERS_SHOWN:
        total = db.scalar(select(func.count()).select_from(Render).where(*all_)) or 0
        oldest = select(Render).where(*all_, Render.is_system_preview).order_by(Render.created_at).limit(1)
        preview = db.scalar(oldest)
        if preview and preview not in renders:
            renders[0] = preview
    return Detail(model, renders, total)


def page(
    db: Session, account_id: str, listing: Listing, *, tags: Collection[str], external_id: str | None, archived: bool
) -> tuple[list[Model], int]:
    """The account's models: one page of them with their tags, and their total number.

    With `tags`, only models with at least one of them; with `external_id`, only models with this one; archived models
    only with `archived`.
    """
    wanted = select(Model).where(Model.account_id == account_id, Model.deleted_at.is_(None))
    wanted = wanted.where(*lists.conditions(Model, listing))
    if listing.text:
        wanted = wanted.where(has_text(listing.text))
    if external_id is not None:
        wanted = wanted.where(Model.external_id == external_id)
    if tags:
        wanted = wanted.where(Model.id.in_(select(Tag.model_id).where(Tag.tag.in_(tags))))
    if not archived:
        wanted = wanted.where(Model.archived_at.is_(None))
    total = db.scalar(wanted.with_only_columns(func.count(), maintain_column_froms=True)) or 0
    columns = {"createdAt": Model.created_at, "title": func.lower(func.coalesce(Model.title, Model.original_name))}
    rows = wanted.order_by(*lists.order(Model, listing.sort, columns)).limit(listing.limit).offset(listing.offset)
    return list(db.scalars(rows.options(selectinload(Model.tags)))), total


def has_text(text: str) -> ColumnElement[bool]:
    """Whether a model's title, SKU, external id or file name contains the text."""
    return lists.contains(text, Model.title, Model.sku, Model.external_id, Model.original_name)


def with_content(db: Session, account_id: str, sha256: str) -> Model | None:
    """The account's model with exactly this content; None if it was never uploaded, or was deleted."""
    same = (Model.account_id == account_id, Model.sha256 == sha256, Model.deleted_at.is_(None))
    return db.scalar(select(Model).where(*same))


def newest_with_file(db: Session, number: int) -> list[Model]:
    return list(db.scalars(select(Model).where(Model.has_file).order_by(Model.created_at.desc()).limit(number)))


def with_unneeded_file(db: Session, deleted_before: datetime, unfinished: Sequence[str], *, limit: int) -> list[Model]:
    """Models deleted before that time that still have a file, and no render with one of the `unfinished` statuses."""
    in_use = exists().where(Render.model_id == Model.id, Render.status.in_(unfinished))
    wanted = select(Model).where(Model.deleted_at < deleted_before, Model.has_file, ~in_use)
    return list(db.scalars(wanted.order_by(Model.deleted_at).limit(limit)))


def failed(db: Session, failed_before: datetime, needed: Sequence[str], *, limit: int) -> list[str]:
    """The ids of any `limit` undeleted models that failed before that time.

    Only those that have no render with one of the `needed` statuses.
    """
    in_use = exists().where(Render.model_id == Model.id, Render.status.in_(needed))
    wanted = select(Model.id).where(Model.failed_at < failed_before, Model.deleted_at.is_(None), ~in_use)
    return list(db.scalars(wanted.order_by(func.random()).limit(limit)))


def unneeded_rows(db: Session, deleted_before: datetime, *, limit: int) -> list[str]:
    """The ids of any `limit` models deleted before that time that have neither a file nor a render."""
    in_use = exists().where(Render.model_id == Model.id)
    wanted = select(Model.id).where(Model.deleted_at < deleted_before, ~Model.has_file, ~in_use)
    return list(db.scalars(wanted.order_by(func.random()).limit(limit)))


def remove(db: Session, model_id: str) -> bool:
    """Delete the row of a model, unless it has renders. Whether it was deleted."""
    in_use = exists().where(Render.model_id == model_id)
    return rows_changed(db, delete(Model).where(Model.id == model_id, ~in_use)) == 1


def check_limit(db: Session, account_id: str, limit: int, *, new: int = 0) -> None:
    """Raises UploadLimit when the account has uploaded more than `limit` models in 24 hours, `new` ones included.

    Deleted ones count, so that deleting them makes no room for more.
    """
    recent = (Model.account_id == account_id, Model.created_at > clock.now(db) - timedelta(days=1))
    if (db.scalar(select(func.count()).select_from(Model).where(*recent)) or 0) + new > limit:
        raise UploadLimit(f"Upload limit reached: an account may upload {limit} new models in 24 hours")
