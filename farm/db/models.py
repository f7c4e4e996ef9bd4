"""Every query about models."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from farm.db.ids import well_formed
from farm.db.tables import Model, now
from farm.errors import ModelNotFound, UploadLimit


def owned(db: Session, account_id: str, model_id: str) -> Model:
    """One model of the account. Raises ModelNotFound, also for another account's model."""
    model = db.get(Model, model_id) if well_formed(model_id) else None
    if model is None or model.account_id != account_id:
        raise ModelNotFound
    return model


def owned_with_renders(db: Session, account_id: str, model_id: str) -> Model:
    """As `owned`, with its renders loaded, oldest first."""
    model = owned(db, account_id, model_id)
    db.refresh(model, ["renders"])
    return model


def with_content(db: Session, account_id: str, sha256: str) -> Model | None:
    """The account's model with this very content, if it was uploaded before."""
    return db.scalar(select(Model).where(Model.account_id == account_id, Model.sha256 == sha256))


def check_limit(db: Session, account_id: str, limit: int | None) -> None:
    """Raises UploadLimit when the account has more than `limit` models of the last 24 hours."""
    if limit is None:
        return
    recent = (Model.account_id == account_id, Model.created_at > now() - timedelta(days=1))
    if (db.scalar(select(func.count()).select_from(Model).where(*recent)) or 0) > limit:
        raise UploadLimit(f"Upload limit reached: an account may upload {limit} new models in 24 hours")
