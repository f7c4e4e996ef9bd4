"""Every query about overlays."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session

from farm.db.tables import Overlay, Render
from farm.errors import OverlayNotFound
from farm.ids import well_formed


def owned(db: Session, account_id: str, overlay_id: str) -> Overlay:
    """One overlay that the account owns. Raises OverlayNotFound."""
    overlay = _undeleted(db, overlay_id)
    if overlay is None or overlay.account_id != account_id:
        raise OverlayNotFound("You have no overlay of your own with this id")
    return overlay


def usable(db: Session, account_id: str, overlay_id: str) -> Overlay:
    """One overlay that the account may render with: its own, or a published one. Raises OverlayNotFound."""
    overlay = _undeleted(db, overlay_id)
    if overlay is None or (overlay.account_id != account_id and not overlay.published):
        raise OverlayNotFound
    return overlay


def page(db: Session, account_id: str, *, layer: str | None, limit: int, offset: int) -> tuple[list[Overlay], int]:
    """The overlays that the account may render with, newest first: one page of them, and their total number."""
    wanted = select(Overlay).where(_usable_by(account_id), Overlay.deleted_at.is_(None))
    if layer is not None:
        wanted = wanted.where(Overlay.layer == layer)
    total = db.scalar(wanted.with_only_columns(func.count(), maintain_column_froms=True)) or 0
    newest = wanted.order_by(Overlay.created_at.desc(), Overlay.id.desc()).limit(limit).offset(offset)
    return list(db.scalars(newest)), total


def unneeded(db: Session, deleted_before: datetime, unfinished: Sequence[str], *, limit: int) -> list[Overlay]:
    """Overlays deleted before that time that no render with one of the `unfinished` statuses uses."""
    uses_it = Render.settings["bgImageId"].as_string() == Overlay.id
    in_use = exists().where(Render.status.in_(unfinished), uses_it)
    wanted = select(Overlay).where(Overlay.deleted_at < deleted_before, ~in_use)
    return list(db.scalars(wanted.order_by(Overlay.deleted_at).limit(limit)))


def _undeleted(db: Session, overlay_id: str) -> Overlay | None:
    overlay = db.get(Overlay, overlay_id) if well_formed(overlay_id) else None
    return None if overlay is None or overlay.deleted_at else overlay


def _usable_by(account_id: str) -> ColumnElement[bool]:
    return or_(Overlay.account_id == account_id, Overlay.published)
