"""Every query about what an account stores, and its quotas."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from farm.db.tables import Account, Asset, Model, Overlay, Render
from farm.errors import Unauthorized, UploadLimit
from farm.settings import Settings


class Usage(NamedTuple):
    """The models and overlays of an account that are not deleted, and the bytes of all its stored files."""

    models: int
    overlays: int
    bytes: int


def check(db: Session, row: Model | Overlay, settings: Settings) -> None:
    """Raises UploadLimit when the account may not store this row's file in addition, and Unauthorized if it is deleted.

    No other transaction stores a file of the account until this one ends, so that parallel uploads are counted too.
    """
    # FOR NO KEY UPDATE: rows that refer to the account lock its key, and two such uploads would wait for each other.
    account = select(Account.id).where(Account.id == row.account_id).with_for_update(key_share=True)
    if db.scalar(account) is None:
        raise Unauthorized
    _check_counts(used := usage(db, row.account_id), type(row), settings)
    if used.bytes + row.file_size > settings.quota_bytes:
        raise UploadLimit(
            f"The files of your account have {used.bytes} bytes, this one would add {row.file_size}, and together they"
            f" may have {settings.quota_bytes}: delete models, overlays or renders you no longer need"
        )


def check_early(db: Session, account_id: str, kind: type[Model | Overlay], settings: Settings) -> None:
    """Raises UploadLimit when the account may store no further file of this kind, before the file costs any work."""
    used = usage(db, account_id)
    _check_counts(used, kind, settings)
    if used.bytes >= settings.quota_bytes:
        raise UploadLimit(
            f"The files of your account have {used.bytes} bytes, and together they may have {settings.quota_bytes}:"
            " delete models, overlays or renders you no longer need"
        )


def _check_counts(used: Usage, kind: type[Model | Overlay], settings: Settings) -> None:
    if kind is Model and used.models >= settings.quota_models:
        raise UploadLimit(
            f"Your account has {used.models} models, and may have {settings.quota_models}: delete models you no longer"
            " need"
        )
    if kind is Overlay and used.overlays >= settings.quota_overlays:
        raise UploadLimit(
            f"Your account has {used.overlays} overlays, and may have {settings.quota_overlays}: delete overlays you no"
            " longer need"
        )


def check_order(db: Session, account_id: str, settings: Settings) -> None:
    """Raises UploadLimit when the account stores more bytes than it may: a render would add to them."""
    stored = stored_bytes(db, account_id)
    if stored > settings.quota_bytes:
        raise UploadLimit(
            f"The files of your account have {stored} bytes, and may have {settings.quota_bytes}: before you order"
            " another render, delete models, overlays or renders you no longer need"
        )


def usage(db: Session, account_id: str) -> Usage:
    """What the account stores now."""
    models = select(func.count()).where(Model.account_id == account_id, Model.deleted_at.is_(None))
    overlays = select(func.count()).where(Overlay.account_id == account_id, Overlay.deleted_at.is_(None))
    return Usage(db.scalar(models) or 0, db.scalar(overlays) or 0, stored_bytes(db, account_id))


def stored_bytes(db: Session, account_id: str) -> int:
    """The bytes of all stored files of the account."""
    sizes = (
        select(func.sum(Model.file_size)).where(Model.account_id == account_id, Model.has_file),
        select(func.sum(Overlay.file_size)).where(Overlay.account_id == account_id),
        select(func.sum(Asset.size)).join(Render, Render.id == Asset.render_id).where(Render.account_id == account_id),
    )
    return sum(int(db.scalar(size) or 0) for size in sizes)
