"""From a wish to work in the queue: the rows of a render, its shot and its chunks, and the bell after the commit."""

from sqlalchemy.orm import Session

from farm import plan
from farm.db.session import after_commit
from farm.db.tables import Chunk, Model, Render, Shot
from farm.queue.queues import Doorbell
from farm.render_settings import RenderSettings
from farm.settings import Settings

PREVIEW = RenderSettings(length=3)


def render(
    db: Session, model: Model, wish: RenderSettings, settings: Settings, bell: Doorbell, *, preview: bool = False
) -> Render:
    """Add one render with its shot and chunks. Workers hear of it once the transaction is committed."""
    spec = plan.shot(model.sha256, wish, settings, preview=preview)
    shot = Shot(model_id=model.id, digest=spec.digest, spec=spec.to_json(), frames=spec.frames)
    db.add(shot)
    db.flush()
    chunks = [
        Chunk(shot_id=shot.id, first_frame=frames.start, frames=len(frames), is_preview=preview)
        for frames in plan.chunks(spec.frames)
    ]
    row = Render(
        account_id=model.account_id,
        model_id=model.id,
        shot_id=shot.id,
        settings=wish.to_wire(),
        is_system_preview=preview,
    )
    db.add_all([*chunks, row])
    db.flush()
    for chunk in chunks:
        after_commit(db, lambda chunk=chunk: bell.ring(chunk))  # type: ignore[misc]
    return row


def preview(db: Session, model: Model, settings: Settings, bell: Doorbell) -> Render:
    """The free system preview that every upload gets: small, short, and a test of the model's integrity."""
    return render(db, model, PREVIEW, settings, bell, preview=True)
