"""Pages of models: the list with uploads, and the page of each with its fields and renders."""

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from api.dependencies import Farm, FarmDep, farm_of
from api.effects import EffectDep
from api.models import service
from api.models.schemas import ModelFields, UpdateModel
from api.multipart import Upload, receive
from api.portal import pages
from api.portal.visitors import PortalRoute, Visitor, VisitorDep, redirect
from api.queries import MAX_TEXT_LENGTH
from api.validation_messages import explain
from farm.db import gallery, models
from farm.db.lists import Listing
from farm.errors import FarmError, InvalidRequest
from farm.orders.render_settings import RenderSettings
from farm.scheduling.render_status import OVER

router = APIRouter(route_class=PortalRoute)

PAGE = "/portal/models"
PAGE_SIZE = 24
MAX_RENDERS_SHOWN = 24
MAX_OFFSET = 1_000_000
SORTS = {"-createdAt": "Newest", "createdAt": "Oldest", "title": "Title"}


async def _received(request: Request) -> AsyncIterator[Upload]:
    async with receive(request, farm_of(request).settings.max_upload_bytes) as upload:
        yield upload


Received = Annotated[Upload, Depends(_received, scope="function")]


@router.get("/models")
def list_models(request: Request, visitor: VisitorDep, farm: FarmDep) -> Response:
    """A page of the account's models, as the filters in the query say."""
    query = request.query_params
    chosen = {name: query.get(name, "")[:MAX_TEXT_LENGTH] for name in ("q", "tag", "archived", "sort")}
    sort = chosen["sort"] if chosen["sort"] in SORTS else next(iter(SORTS))
    offset = pages.offset(query.get("offset", ""), MAX_OFFSET)
    text, tag = pages.storable(chosen["q"]).strip(), pages.storable(chosen["tag"])
    with farm.database.read() as db:
        rows, total = models.page(
            db,
            visitor.account.id,
            Listing(text=text, sort=sort, limit=PAGE_SIZE, offset=offset),
            tags=[tag] if tag else [],
            external_id=None,
            archived=bool(chosen["archived"]),
        )
        tags, pictures = gallery.tags(db, visitor.account.id), gallery.pictures(db, [row.id for row in rows])
    kept = {name: value for name, value in chosen.items() if value}
    return pages.page(
        request,
        "models.html",
        has_viewer=True,
        models=rows,
        total=total,
        offset=offset,
        page_size=PAGE_SIZE,
        chosen=chosen,
        is_filtered=any(chosen[name] for name in ("q", "tag", "archived")),
        tags=tags,
        sorts=SORTS,
        pictures=pictures,
        link=lambda at: f"{PAGE}?{urlencode({**kept, 'offset': at})}",
        max_upload_bytes=farm.settings.max_upload_bytes,
    )


@router.post("/models")
async def upload_model(
    request: Request, upload: Received, visitor: VisitorDep, farm: FarmDep, effect: EffectDep
) -> Response:
    """Store a model as the API does, with a render in default settings: the part of the page about it."""
    uploaded = await service.accept_upload(
        farm, visitor.account, effect, upload, RenderSettings(), ModelFields.model_validate({})
    )
    return await run_in_threadpool(_uploaded, request, visitor, farm, uploaded.model_id)


@router.get("/models/{model_id}")
def get_model(request: Request, model_id: str, visitor: VisitorDep, farm: FarmDep) -> Response:
    """The page of one model. Raises ModelNotFound."""
    return _page(request, model_id, visitor, farm)


@router.post("/models/{model_id}")
def update_model(request: Request, model_id: str, visitor: VisitorDep, farm: FarmDep, effect: EffectDep) -> Response:
    """Change title, SKU, external id and tags. Raises ModelNotFound."""
    form = visitor.form
    fields = {name: form.text(name) for name in ("title", "sku", "externalId")}
    try:
        change = UpdateModel.model_validate({**fields, "tags": form.text("tags").split(",")}, by_alias=True)
        with effect.transaction() as db:
            service.update(db, visitor.account, model_id, change)
    except ValidationError as error:
        problem = InvalidRequest(explain(error.errors()[0]))
        return _page(request, model_id, visitor, farm, problem=problem)
    return redirect(f"{PAGE}/{model_id}")


@router.post("/models/{model_id}/archive")
def archive_model(model_id: str, visitor: VisitorDep, effect: EffectDep) -> Response:
    with effect.transaction() as db:
        service.archive(db, visitor.account, model_id)
    return redirect(f"{PAGE}/{model_id}")


@router.post("/models/{model_id}/unarchive")
def unarchive_model(model_id: str, visitor: VisitorDep, effect: EffectDep) -> Response:
    with effect.transaction() as db:
        service.unarchive(db, visitor.account, model_id)
    return redirect(f"{PAGE}/{model_id}")


@router.post("/models/{model_id}/delete")
def delete_model(model_id: str, visitor: VisitorDep, effect: EffectDep) -> Response:
    with effect.transaction() as db:
        service.delete(db, visitor.account, model_id)
    return redirect(PAGE)


def _uploaded(request: Request, visitor: Visitor, farm: Farm, model_id: str) -> Response:
    with farm.database.read() as db:
        model = models.owned(db, visitor.account.id, model_id)
        details = gallery.of_model(db, visitor.account.id, model_id, MAX_RENDERS_SHOWN)
    details = [detail for detail in details if detail.render.is_system_preview] or details[:1]
    unfinished = [detail.render.id for detail in details if detail.render.status not in OVER]
    return pages.page(request, "uploaded.html", model=model, details=details, unfinished=unfinished)


def _page(
    request: Request, model_id: str, visitor: Visitor, farm: Farm, *, problem: FarmError | None = None
) -> Response:
    with farm.database.read() as db:
        model = models.owned(db, visitor.account.id, model_id)
        tags, clips = [tag.tag for tag in model.tags], model.clips
        details = gallery.of_model(db, visitor.account.id, model_id, MAX_RENDERS_SHOWN)
    unfinished = [detail.render.id for detail in details if detail.render.status not in OVER]
    return pages.page(
        request,
        "model.html",
        has_viewer=True,
        status=problem.status if problem else 200,
        model=model,
        tags=tags,
        clips=clips,
        details=details,
        unfinished=unfinished,
        problem=problem,
    )
