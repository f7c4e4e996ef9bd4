"""Queries of the portal's lists: renders and models with what their cards show, in a constant number of statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload

from farm.db import lists
from farm.db.models import has_text
from farm.db.renders import Detail, details
from farm.db.tables import Asset, Model, Render, Tag
from farm.ids import well_formed

MAX_TAGS_SHOWN = 200


@dataclass(frozen=True)
class Filter:
    """Which renders to show: those that have each of these, where it is given. System previews are left out."""

    text: str = ""
    statuses: Sequence[str] = ()
    effect: str = ""
    quality: str = ""
    tag: str = ""
    sort: str = "-createdAt"
    offset: int = 0


def page(db: Session, account_id: str, wanted: Filter, limit: int) -> tuple[list[Detail], int]:
    """The account's renders with their models: one page of them, and their total number."""
    conditions = [Render.account_id == account_id, Render.is_system_preview.is_(False)]
    if wanted.statuses:
        conditions.append(Render.status.in_(wanted.statuses))
    if wanted.effect:
        conditions.append(Render.settings["effect"].as_string() == wanted.effect)
    if wanted.quality:
        conditions.append(Render.settings["quality"].as_string() == wanted.quality)
        conditions.append(Render.settings["output"].as_string() == "video")
    of_models = select(Model.id).where(Model.account_id == account_id)
    if wanted.text:
        conditions.append(Render.model_id.in_(of_models.where(has_text(wanted.text))))
    if wanted.tag:
        tagged = select(Tag.model_id).where(Tag.tag == wanted.tag)
        conditions.append(Render.model_id.in_(of_models.where(Model.id.in_(tagged))))
    total = db.scalar(select(func.count()).select_from(Render).where(*conditions)) or 0
    columns = {"createdAt": Render.created_at, "updatedAt": Render.updated_at}
    order = lists.order(Render, wanted.sort, columns)
    ids = select(Render.id).where(*conditions).order_by(*order).limit(limit).offset(wanted.offset)
    rows = db.execute(_with_models().where(Render.id.in_(list(db.scalars(ids)))).order_by(*order))
    return [Detail(*row) for row in rows], total


def shown(db: Session, account_id: str, ids: Sequence[str]) -> list[Detail]:
    """Those of the renders that the account has, with their models."""
    known = [id_ for id_ in ids if well_formed(id_)]
    rows = db.execute(_with_models().where(Render.account_id == account_id, Render.id.in_(known)))
    return [Detail(*row) for row in rows]


def of_model(db: Session, account_id: str, model_id: str, limit: int) -> list[Detail]:
    """The newest renders of a model, its preview included."""
    wanted = _with_models().where(Render.account_id == account_id, Render.model_id == model_id)
    rows = db.execute(wanted.order_by(Render.created_at.desc(), Render.id.desc()).limit(limit))
    return [Detail(*row) for row in rows]


def assets(db: Session, render_id: str) -> list[Asset]:
    """The files of a render."""
    return list(db.scalars(select(Asset).where(Asset.render_id == render_id)))


def tags(db: Session, account_id: str) -> list[str]:
    """The tags of the account's models in alphabetical order."""
    wanted = select(Tag.tag).distinct().join(Model).where(Model.account_id == account_id, Model.deleted_at.is_(None))
    return list(db.scalars(wanted.order_by(Tag.tag).limit(MAX_TAGS_SHOWN)))


def pictures(db: Session, model_ids: Sequence[str]) -> dict[str, str]:
    """By model id: the newest render that has a small still; models without one are left out."""
    newest = (
        select(Render.model_id, Render.id, Render.created_at)
        .join(Asset, Asset.render_id == Render.id)
        .where(Render.model_id.in_(model_ids), Asset.kind == "thumb-still")
    )
    number = func.row_number().over(partition_by=Render.model_id, order_by=Render.created_at.desc())
    ranked = newest.add_columns(number.label("number")).subquery()
    rows = db.execute(select(ranked.c.model_id, ranked.c.id).where(ranked.c.number == 1))
    return {row.model_id: row.id for row in rows}


def _with_models() -> Select[Any]:
    return details().options(joinedload(Render.model))
