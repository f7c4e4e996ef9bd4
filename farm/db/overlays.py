"""Every query about overlays."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session

from farm.db import lists
from farm.db.lists import Listing
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


def page(db: Session, account_id: str, listing: Listing, *, layer: str | None) -> tuple[list[Overlay], int]:
    """The overlays that the account may render with: one page of them, and their total number."""
    wanted = select(Overlay).where(_usable_by(account_id), Overlay.deleted_at.is_(None))
    wanted = wanted.where(*lists.conditions(Overlay, listing))
    if listing.text:
        wanted = wanted.where(lists.contains(listing.text, Overlay.name, Overlay.description))
    if layer is not None:
        wanted = wanted.where(Overlay.layer == layer)
    total = db.scalar(wanted.with_only_columns(func.count(), maintain_column_froms=True)) or 0
    columns = {"createdAt": Overlay.created_at, "name": func.lower(func.coalesce(Overlay.name, ""))}
    rows = wanted.order_by(*lists.order(Overlay, listing.sort, columns)).limit(listing.limit).offset(listing.offset)
    return list(db.scalars(rows)), total


def unneeded(db: Session, deleted_before: datetime, unfinished: Sequence[str], *, limit: int) -> list[Overlay]:
    """Overlays deleted before that time that no render with one of the `unfinished` statuses uses."""
    in_use = exists().where(Render.status.in_(unfinished), uses_overlay())
    wanted = select(Overlay).where(Overlay.deleted_at < deleted_before, ~in_use)
    return list(db.scalars(wanted.order_by(Overlay.deleted_at).limit(limit)))


def uses_overlay() -> ColumnElement[bool]:
    """Whether a row of Render names a row of Overlay, behind or in front of the model."""
    return or_(*(Render.settings[field].as_string() == Overlay.id for field in ("bgImageId", "fgImageId")))


def _undeleted(db: Session, overlay_id: str) -> Overlay | None:
    overlay = db.get(Overlay, overlay_id) if well_formed(overlay_id) else None
    return None if overlay is None or overlay.deleted_at else overlay


def _usable_by(account_id: str) -> ColumnElement[bool]:
    return or_(Overlay.account_id == account_id, Overlay.published)
