"""Queues renders: charges credits, adds a render, its shot and its chunks, and wakes workers after the commit."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy.orm import Session

from farm.accounts import credits
from farm.db import chunks, nodes, quotas, suspect_models
from farm.db.chunks import DRAWING, PREVIEW
from farm.db.renders import move
from farm.db.tables import Account, Chunk, Model, Render, Shot
from farm.errors import Conflict, HarmfulModel
from farm.ids import new_id
from farm.orders import plan
from farm.orders.dataset_plan import DatasetSpec, dataset
from farm.orders.plan import ShotSpec
from farm.orders.price import price_of
from farm.orders.render_settings import RenderSettings, parse
from farm.scheduling import leases, render_status, validation
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings

PREVIEW_SETTINGS = RenderSettings(length=3)
# Waiting previews of an account that have their priority. Further ones take the account's own turns in drawing, each
# before the render that was uploaded with it.
MAX_WAITING_PREVIEWS = 5


def renders(
    db: Session,
    account_id: str,
    requests: Sequence[tuple[Model, RenderSettings]],
    settings: Settings,
    doorbell: Doorbell,
) -> list[Render]:
    """Charge the credits for all requests and queue a render of each.

    Or raise NoCredits, HarmfulModel or UploadLimit, and change nothing.

    Requests for the same model whose frames are equal share a shot: it is drawn once for as many of them as a node can
    encode in parallel.
    """
    if harmful := suspect_models.refused(db, [model.sha256 for model, _ in requests], account_id):
        model_id = next(model.id for model, _ in requests if model.sha256 == harmful.sha256)
        raise HarmfulModel(f"Model {model_id}: {HarmfulModel.default}")
    quotas.check_order(db, account_id, settings)
    prices = {new_id(): price_of(request.to_wire()) for _, request in requests}
    credits.charge(db, account_id, prices)
    shots: dict[tuple[str, str, int], Shot] = {}
    seen: Counter[tuple[str, str]] = Counter()
    rows = []
    for render_id, (model, request) in zip(prices, requests, strict=True):
        spec = _spec(model, request, settings)
        pixels = model.id, spec.digest
        address = *pixels, seen[pixels] // spec.max_renders
        seen[pixels] += 1
        if address not in shots:
            shots[address] = _queue(db, model, spec, settings, doorbell)
        rows.append(_row(render_id, model, request, shots[address]))
    db.add_all(rows)
    db.flush()
    return rows


def render(db: Session, model: Model, request: RenderSettings, settings: Settings, doorbell: Doorbell) -> Render:
    """Charge the credits for one render and queue it, or raise as `renders` and change nothing."""
    return renders(db, model.account_id, [(model, request)], settings, doorbell)[0]


def preview(db: Session, model: Model, settings: Settings, doorbell: Doorbell) -> Render:
    """The free system preview that every upload gets: small, short, and a test of the model's integrity."""
    row = _row(new_id(), model, PREVIEW_SETTINGS, _queue_preview(db, model, settings, doorbell), preview=True)
    db.add(row)
    db.flush()
    return row


def again(db: Session, render: Render, settings: Settings, doorbell: Doorbell) -> None:
    """Queue a locked render that ended as an error once more, under its id, and charge its price again.

    Raises Conflict for another status, when its model was deleted or a worker is busy with frames that it shared,
    InvalidSettings when its overlay was deleted, HarmfulModel, NoCredits.
    """
    if render.status != "error":
        raise Conflict(f"Only a render with status error can be retried; the status of {render.id} is {render.status}")
    if any(chunk.state == "running" for chunk in chunks.unfinished_of_shot(db, render.shot_id)):
        # It still has the render in its list, and would publish a poster of it.
        raise Conflict(f"A node is drawing frames that {render.id} shared with another render: try again in a minute")
    model, request = render.model, parse(render.settings)
    if model.deleted_at:
        raise Conflict(f"The model of {render.id} was deleted")
    if suspect_models.refused(db, [model.sha256], model.account_id):
        raise HarmfulModel
    request = validation.check(db, render.account, model.clips, request)
    credits.charge_again(db, render)
    if render.is_system_preview:
        shot, model.failed_at = _queue_preview(db, model, settings, doorbell), None
    else:
        shot = _queue(db, model, _spec(model, request, settings), settings, doorbell)
    move(db, render, shot)
    render_status.advance(db, render, "pending")


def _spec(model: Model, request: RenderSettings, settings: Settings) -> ShotSpec | DatasetSpec:
    return (
        dataset(model.sha256, request, settings) if request.is_dataset else plan.shot(model.sha256, request, settings)
    )


def _queue_preview(db: Session, model: Model, settings: Settings, doorbell: Doorbell) -> Shot:
    """Add the shot of a preview and the chunk that draws it."""
    spec = plan.shot(model.sha256, PREVIEW_SETTINGS, settings, preview=True)
    shot = _add_shot(db, model, spec)
    waiting = chunks.count_waiting(db, PREVIEW, limit=MAX_WAITING_PREVIEWS, account_id=model.account_id)
    priority = PREVIEW if waiting < MAX_WAITING_PREVIEWS else DRAWING
    leases.queue(db, doorbell, _chunks(shot, spec, [range(spec.frames)]), model.account_id, priority)
    return shot


def _queue(db: Session, model: Model, spec: ShotSpec | DatasetSpec, settings: Settings, doorbell: Doorbell) -> Shot:
    """Add a shot and the chunks that draw it."""
    shot = _add_shot(db, model, spec)
    seconds = chunks.seconds_per_frame(db, spec.tier) or plan.estimated_seconds_per_frame(spec.width, spec.height)
    number = nodes.count_drawing(db, db.get_one(Account, model.account_id).node_tag)
    ranges = plan.chunks(spec.frames, spec.min_chunk_frames, seconds, number, settings.chunk_seconds)
    leases.queue(db, doorbell, _chunks(shot, spec, ranges), model.account_id, DRAWING)
    return shot


def _add_shot(db: Session, model: Model, spec: ShotSpec | DatasetSpec) -> Shot:
    shot = Shot(id=new_id(), model_id=model.id, digest=spec.digest, spec=spec.to_json(), frames=spec.frames)
    db.add(shot)
    db.flush()
    return shot


def _chunks(shot: Shot, spec: ShotSpec | DatasetSpec, ranges: Sequence[range]) -> list[Chunk]:
    return [Chunk(shot_id=shot.id, tier=spec.tier, first_frame=part.start, frames=len(part)) for part in ranges]


def _row(render_id: str, model: Model, request: RenderSettings, shot: Shot, *, preview: bool = False) -> Render:
    return Render(
        id=render_id,
        account_id=model.account_id,
        model_id=model.id,
        shot_id=shot.id,
        settings=request.to_wire(),
        is_system_preview=preview,
    )
