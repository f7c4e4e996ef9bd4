"""What happens to renders: ordered, dismissed, deleted."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.dependencies import Farm
from farm.accounts import credits
from farm.db import models, renders
from farm.db.session import after_commit
from farm.db.tables import Account, Render
from farm.errors import Conflict, InvalidSettings, ModelNotFound
from farm.orders.render_settings import RenderSettings
from farm.scheduling import render_status, submit, validation
from farm.storage import discard


def create(db: Session, farm: Farm, account: Account, model_id: str, render_settings: RenderSettings) -> Render:
    """Queue one render of a model. Raises ModelNotFound, InvalidSettings or NoCredits."""
    model = models.owned(db, account.id, model_id)
    validation.check(db, account, model.clips, render_settings)
    return submit.render(db, model, render_settings, farm.settings, farm.doorbell)


def create_batch(
    db: Session, farm: Farm, account: Account, items: Sequence[tuple[str, RenderSettings]]
) -> list[Render]:
    """Queue a render for each model id with its settings, or none.

    Raises ModelNotFound or InvalidSettings, naming which item is wrong, or NoCredits.
    """
    ready = []
    for number, (model_id, render_settings) in enumerate(items):
        try:
            model = models.owned(db, account.id, model_id)
            validation.check(db, account, model.clips, render_settings)
        except ModelNotFound as error:
            raise ModelNotFound(f"renders[{number}]: {error.message}") from error
        except InvalidSettings as error:
            raise InvalidSettings(f"renders[{number}].{error.message}") from error
        ready.append((model, render_settings))
    return submit.renders(db, account.id, ready, farm.settings, farm.doorbell)


def dismiss(db: Session, account: Account, render_id: str) -> None:
    """Put an error aside; doing it again changes nothing. Raises RenderNotFound, or Conflict for any other status."""
    render = renders.owned(db, account.id, render_id, lock=True)
    if render.status not in ("error", "failed"):
        raise Conflict(f"Only a render with status error can be dismissed; this one is {render.status}")
    render_status.advance(db, render, "failed")


def delete(db: Session, farm: Farm, account: Account, render_id: str) -> None:
    """Delete a render for good, its files once that is committed. Raises RenderNotFound.

    One that no worker has begun gives its credits back. A worker that is busy with it finds its chunk gone at the next
    renewal of its lease and throws its work away.
    """
    render = renders.owned(db, account.id, render_id, lock=True)
    if render.status == "pending":
        credits.refund(db, render.id)
    keys = renders.remove(db, render)
    after_commit(db, lambda: discard(farm.storage, keys))
