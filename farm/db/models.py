"""Every query about models."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, selectinload

from farm.db import clock
from farm.db.tables import Model, Render, Tag
from farm.errors import ModelNotFound, UploadLimit
from farm.ids import well_formed


def owned(db: Session, account_id: str, model_id: str) -> Model:
    """One model of the account. Raises ModelNotFound, also for another account's model and for a deleted one."""
    model = db.get(Model, model_id) if well_formed(model_id) else None
    if model is None or model.account_id != account_id or model.deleted_at:
        raise ModelNotFound
    return model


def owned_with_renders(db: Session, account_id: str, model_id: str) -> Model:
    """As `owned`, with its renders loaded, oldest first."""
    model = owned(db, account_id, model_id)
    db.refresh(model, ["renders"])
    return model


def page(
    db: Session, account_id: str, *, tags: Collection[str], archived: bool, limit: int, offset: int
) -> tuple[list[Model], int]:
    """The account's models, newest first: one page of them with their tags, and their total number.

    With `tags`, only models with at least one of them; archived models only with `archived`.
    """
    wanted = select(Model).where(Model.account_id == account_id, Model.deleted_at.is_(None))
    if tags:
        wanted = wanted.where(Model.id.in_(select(Tag.model_id).where(Tag.tag.in_(tags))))
    if not archived:
        wanted = wanted.where(Model.archived_at.is_(None))
    total = db.scalar(select(func.count()).select_from(wanted.subquery())) or 0
    newest = wanted.order_by(Model.created_at.desc(), Model.id.desc()).limit(limit).offset(offset)
    return list(db.scalars(newest.options(selectinload(Model.tags)))), total


def with_content(db: Session, account_id: str, sha256: str) -> Model | None:
    """The account's model with exactly this content; None if it was never uploaded, or was deleted."""
    same = (Model.account_id == account_id, Model.sha256 == sha256, Model.deleted_at.is_(None))
    return db.scalar(select(Model).where(*same))


def newest_with_file(db: Session, number: int) -> list[Model]:
    return list(db.scalars(select(Model).where(Model.has_file).order_by(Model.created_at.desc()).limit(number)))


def with_unneeded_file(db: Session, deleted_before: datetime, unfinished: Sequence[str]) -> list[Model]:
    """Models deleted before that time that still have a file, and no render with one of the `unfinished` statuses."""
    in_use = exists().where(Render.model_id == Model.id, Render.status.in_(unfinished))
    return list(db.scalars(select(Model).where(Model.deleted_at < deleted_before, Model.has_file, ~in_use)))


def check_limit(db: Session, account_id: str, limit: int | None) -> None:
    """Raises UploadLimit when the account has uploaded more than `limit` models in the last 24 hours."""
    if limit is None:
        return
    recent = (Model.account_id == account_id, Model.created_at > clock.now(db) - timedelta(days=1))
    if (db.scalar(select(func.count()).select_from(Model).where(*recent)) or 0) > limit:
        raise UploadLimit(f"Upload limit reached: an account may upload {limit} new models in 24 hours")
