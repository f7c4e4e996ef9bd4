"""What happens to renders: ordered, looked at, deleted."""

from sqlalchemy.orm import Session

from api.dependencies import Farm
from farm import schedule
from farm.db import models, renders
from farm.db.session import after_commit
from farm.db.tables import Account, Render
from farm.render_settings import RenderSettings


def create(db: Session, farm: Farm, account: Account, model_id: str, wish: RenderSettings) -> Render:
    """Queue one render of a model. Raises ModelNotFound, or InvalidSettings."""
    model = models.owned(db, account.id, model_id)
    wish.check_against(model.clips, admin=account.is_admin)
    return schedule.render(db, model, wish, farm.settings, farm.bell)


def delete(db: Session, farm: Farm, account: Account, render_id: str) -> None:
    """Delete a render for good, its files once that is committed. Raises RenderNotFound.

    A worker that is busy with it finds its chunk gone at the next renewal of its lease and throws its work away.
    """
    for key in renders.remove(db, renders.owned(db, account.id, render_id)):
        after_commit(db, lambda key=key: farm.storage.delete(key))  # type: ignore[misc]
