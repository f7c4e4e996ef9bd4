"""Operations on renders: create, dismiss, delete."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.dependencies import Farm
from api.renders.schemas import CreateRender
from farm.accounts import credits
from farm.db import models, renders
from farm.db.session import after_commit
from farm.db.tables import Account, Render
from farm.errors import Conflict, InvalidSettings, ModelNotFound
from farm.scheduling import render_status, submit, validation
from farm.storage import discard


def create(db: Session, farm: Farm, account: Account, order: CreateRender) -> Render:
    """Queue one render of a model. Raises ModelNotFound, InvalidSettings, HarmfulModel, NoCredits or UploadLimit."""
    model = models.owned(db, account.id, order.model_id)
    completed = validation.check(db, account, model.clips, order.render_settings)
    render = submit.render(db, model, completed, farm.settings, farm.doorbell)
    render.client_metadata = order.metadata
    return render


def create_batch(db: Session, farm: Farm, account: Account, orders: Sequence[CreateRender]) -> list[Render]:
    """Queue a render for each order, or none.

    Raises ModelNotFound or InvalidSettings, which name the wrong item, HarmfulModel, NoCredits or UploadLimit.
    """
    accepted = []
    for number, order in enumerate(orders):
        try:
            model = models.owned(db, account.id, order.model_id)
            completed = validation.check(db, account, model.clips, order.render_settings)
        except ModelNotFound as error:
            raise ModelNotFound(f"renders[{number}]: {error.message}") from error
        except InvalidSettings as error:
            raise InvalidSettings(f"renders[{number}].{error.message}") from error
        accepted.append((model, completed))
    rows = submit.renders(db, account.id, accepted, farm.settings, farm.doorbell)
    for row, order in zip(rows, orders, strict=True):
        row.client_metadata = order.metadata
    return rows


def dismiss(db: Session, account: Account, render_id: str) -> None:
    """Acknowledge a failed render; idempotent. Raises RenderNotFound, or Conflict for any other status."""
    render = renders.owned(db, account.id, render_id, lock=True)
    if render.status not in ("error", "failed"):
        raise Conflict(f"Only a render with status error can be dismissed; the status of this one is {render.status}")
    render_status.advance(db, render, "failed")


def delete(db: Session, farm: Farm, account: Account, render_id: str) -> None:
    """Delete a render permanently, its files after the commit. Raises RenderNotFound.

    The credits of a pending render are refunded. A worker that is processing the render loses its lease at the next
    renewal and discards its work.
    """
    render = renders.owned(db, account.id, render_id, lock=True)
    if render.status == "pending":
        credits.refund(db, render.id)
    keys = renders.remove(db, render)
    after_commit(db, lambda: discard(farm.storage, keys))
