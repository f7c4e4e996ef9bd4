"""The form that orders renders: of one model or several, with every setting, its price, and the same order as code."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session

from api import catalogue
from api.dependencies import Farm, FarmDep
from api.effects import EffectDep
from api.portal import pages, settings_form
from api.portal.visitors import PortalRoute, Visitor, VisitorDep, redirect
from api.queries import MAX_TEXT_LENGTH
from api.renders import service
from api.renders.schemas import MAX_BATCH_SIZE, CreateRender
from farm.db import gallery, models, overlays, renders
from farm.db.lists import Listing
from farm.db.tables import Model
from farm.errors import (
    FarmError,
    InvalidFormat,
    InvalidRequest,
    InvalidSettings,
    ModelNotFound,
    NoCredits,
    NotFound,
    UploadLimit,
)
from farm.orders.effects import PATHS
from farm.orders.price import price_of
from farm.orders.render_settings import parse

router = APIRouter(route_class=PortalRoute)

PAGE = "/portal/renders/new"
MODELS_SHOWN = 60
OVERLAYS_SHOWN = 100
REFUSALS = (InvalidRequest, InvalidSettings, InvalidFormat, ModelNotFound, NoCredits, UploadLimit)


@router.get("/renders/new")
def get_form(request: Request, visitor: VisitorDep, farm: FarmDep) -> Response:
    """The form; with `model` for one, with `from` like an earlier render."""
    chosen = [id_ for id_ in request.query_params.get("model", "").split(",") if id_]
    values: dict[str, Any] = {}
    if earlier := request.query_params.get("from"):
        with farm.database.read() as db:
            render = renders.owned(db, visitor.account.id, earlier)
        chosen, values = [render.model_id], {} if render.is_system_preview else dict(render.settings)
        if values.pop("cameras", None):  # which have no control; the size was theirs
            values = {name: value for name, value in values.items() if name not in ("size", "datasetQuality")}
    return _page(request, visitor, farm, chosen, values)


@router.get("/renders/new/models")
def find_models(request: Request, visitor: VisitorDep, farm: FarmDep) -> Response:
    """The chosen models, and those with the text, for the form's search."""
    query = request.query_params
    chosen, text = query.getlist("model")[:MAX_BATCH_SIZE], pages.storable(query.get("find", "")[:MAX_TEXT_LENGTH])
    with farm.database.read() as db:
        shown, _ = _models(db, visitor.account.id, chosen, text.strip())
        pictures = gallery.pictures(db, [model.id for model in shown])
    return pages.page(request, "order_models.html", models=shown, chosen=set(chosen), pictures=pictures)


@router.get("/renders/new/summary")
def get_summary(request: Request, visitor: VisitorDep) -> Response:
    """The price of what the form holds, and the same order as code; or what is wrong with it."""
    query = request.query_params
    model_ids = [id_ for id_ in query.getlist("model") if id_.isalnum()][:MAX_BATCH_SIZE]
    raw, problem, price = settings_form.read({name: query.getlist(name) for name in query}), None, 0
    try:
        parse(raw).check_length(admin=visitor.account.is_admin)
        price = price_of(raw) * max(len(model_ids), 1)
    except FarmError as error:
        problem = error
    url = str(request.base_url).rstrip("/")
    return pages.page(
        request,
        "order_summary.html",
        problem=problem,
        price=price,
        number=len(model_ids),
        curl=settings_form.curl(url, model_ids, raw),
        python=settings_form.python(url, model_ids, raw),
    )


@router.post("/renders/new")
def order(request: Request, visitor: VisitorDep, farm: FarmDep, effect: EffectDep) -> Response:
    """Queue a render of each chosen model: all of them, or none."""
    form = visitor.form
    model_ids = list(dict.fromkeys(form.all("model")))
    raw = settings_form.read(form.values)
    try:
        if not 0 < len(model_ids) <= MAX_BATCH_SIZE:
            raise InvalidRequest(f"Choose 1 to {MAX_BATCH_SIZE} models")
        settings = parse(raw)
        orders = [CreateRender(model_id=id_, render_settings=settings) for id_ in model_ids]
        with effect.transaction() as db:
            if len(orders) == 1:
                found = [service.create(db, farm, visitor.account, orders[0])]
            else:
                found = service.create_batch(db, farm, visitor.account, orders)
            ids = [render.id for render in found]
    except REFUSALS as error:
        return _page(request, visitor, farm, model_ids, raw, problem=error)
    return redirect(f"/portal/renders/{ids[0]}" if len(ids) == 1 else "/portal/renders")


@router.get("/effects/{name}/still")
def get_effect_still(name: str, visitor: VisitorDep) -> Response:
    """Pictures of moments of an effect. Raises NotFound."""
    return catalogue.get_effect_still(name, visitor.account)


@router.get("/effects/{name}/moving")
def get_moving_effect(name: str, _: VisitorDep) -> Response:
    """A small animation of an effect. Raises NotFound."""
    file = catalogue.moving_picture(name)
    if file is None:
        raise NotFound
    return FileResponse(file, media_type="image/webp", headers=catalogue.PICTURE_HEADERS)


@router.get("/scenes/{name}/still")
def get_scene_still(name: str, visitor: VisitorDep) -> Response:
    """A picture of a product in a scene. Raises NotFound."""
    return catalogue.get_scene_still(name, visitor.account)


def _page(
    request: Request,
    visitor: Visitor,
    farm: Farm,
    chosen: list[str],
    values: Mapping[str, Any],
    *,
    problem: FarmError | None = None,
) -> Response:
    account = visitor.account
    with farm.database.read() as db:
        shown, total = _models(db, account.id, chosen)
        clips = _clips(db.get(Model, chosen[0]) if len(chosen) == 1 else None, account.id)
        usable, _ = overlays.page(db, account.id, Listing(limit=OVERLAYS_SHOWN), layer=None)
        pictures = gallery.pictures(db, [model.id for model in shown])
    return pages.page(
        request,
        "order.html",
        status=problem.status if problem else 200,
        models=shown,
        is_searchable=total > MODELS_SHOWN,
        chosen=set(chosen),
        pictures=pictures,
        values=values,
        sections=settings_form.controls(values),
        tiers=settings_form.tiers(),
        dataset_tiers=settings_form.dataset_tiers(),
        effects=catalogue.list_effects(account).data,
        moving={name for name in PATHS if catalogue.moving_picture(name)},
        scenes=catalogue.list_scenes(account).data,
        overlays={layer: [each for each in usable if each.layer == layer] for layer in ("background", "foreground")},
        clips=clips,
        effect=values.get("effect") if values.get("effect") in PATHS else "turntable",
        is_dataset="dataset" in (values.get("output"), values.get("effect")),
        problem=problem,
    )


def _models(db: Session, account_id: str, chosen: list[str], text: str = "") -> tuple[list[Model], int]:
    """The chosen models, then the newest others with the text; and how many have it."""

    def found(listing: Listing, archived: bool) -> tuple[list[Model], int]:
        return models.page(db, account_id, listing, tags=[], external_id=None, archived=archived)

    newest, total = found(Listing(text=text, limit=MODELS_SHOWN), archived=False)
    missing = [id_ for id_ in chosen if id_ not in {model.id for model in newest}][:MAX_BATCH_SIZE]
    older = found(Listing(missing, limit=MAX_BATCH_SIZE), archived=True)[0] if missing else []
    return sorted([*older, *newest], key=lambda model: model.id not in chosen), total


def _clips(model: Model | None, account_id: str) -> list[str]:
    """The names of a model's animation clips."""
    return [clip for clip in model.clips if clip] if model and model.account_id == account_id else []
