"""From a wish to work in the queue: the credits taken, the rows of a render, its shot and its chunks, and the bell
after the commit."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from farm import credits, plan
from farm.db.session import after_commit
from farm.db.tables import Chunk, Model, Render, Shot, new_id
from farm.queue.queues import Doorbell
from farm.render_settings import RenderSettings
from farm.settings import Settings

PREVIEW = RenderSettings(length=3)


def renders(
    db: Session, account_id: str, wishes: Sequence[tuple[Model, RenderSettings]], settings: Settings, bell: Doorbell
) -> list[Render]:
    """Take the credits for all wishes and queue a render of each, or raise NoCredits and change nothing."""
    prices = {new_id(): credits.price(wish.to_wire()) for _, wish in wishes}
    credits.charge(db, account_id, prices)
    rows = [
        _queue(db, render_id, model, wish, settings, bell)
        for render_id, (model, wish) in zip(prices, wishes, strict=True)
    ]
    db.flush()
    return rows


def render(db: Session, model: Model, wish: RenderSettings, settings: Settings, bell: Doorbell) -> Render:
    """Take the credits for one render and queue it, or raise NoCredits and change nothing."""
    return renders(db, model.account_id, [(model, wish)], settings, bell)[0]


def preview(db: Session, model: Model, settings: Settings, bell: Doorbell) -> Render:
    """The free system preview that every upload gets: small, short, and a test of the model's integrity."""
    row = _queue(db, new_id(), model, PREVIEW, settings, bell, preview=True)
    db.flush()
    return row


def _queue(
    db: Session,
    render_id: str,
    model: Model,
    wish: RenderSettings,
    settings: Settings,
    bell: Doorbell,
    *,
    preview: bool = False,
) -> Render:
    """Add one render with its shot and chunks. Workers hear of it once the transaction is committed."""
    spec = plan.shot(model.sha256, wish, settings, preview=preview)
    shot = Shot(id=new_id(), model_id=model.id, digest=spec.digest, spec=spec.to_json(), frames=spec.frames)
    chunks = [
        Chunk(shot_id=shot.id, first_frame=frames.start, frames=len(frames), is_preview=preview)
        for frames in plan.chunks(spec.frames)
    ]
    row = Render(
        id=render_id,
        account_id=model.account_id,
        model_id=model.id,
        shot_id=shot.id,
        settings=wish.to_wire(),
        is_system_preview=preview,
    )
    db.add_all([shot, *chunks, row])
    for chunk in chunks:
        after_commit(db, lambda chunk=chunk: bell.ring(chunk))  # type: ignore[misc]
    return row
