"""/v1/renders: create, list, get, dismiss and delete renders."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import KeyedRoute, RendersRead, RendersWrite
from api.dependencies import FarmDep
from api.effects import EffectDep
from api.envelope import Data, Meta, Page
from api.errors import errors
from api.ids import RenderInPath
from api.renders import service
from api.renders.schemas import (
    CAMERAS_IN_LIST,
    CreateBatch,
    CreateRender,
    RenderCreated,
    RenderDeleted,
    RenderDetail,
    RenderQuery,
    RenderQueued,
)
from farm.db import renders
from farm.errors import (
    BodyTooLarge,
    Conflict,
    InvalidFormat,
    InvalidSettings,
    ModelIdRequired,
    ModelNotFound,
    NoCredits,
    RenderNotFound,
    RendersRequired,
    TooMany,
    UploadLimit,
)

router = APIRouter(prefix="/renders", tags=["Renders"], route_class=KeyedRoute)

CREATE_ERRORS = (InvalidSettings, InvalidFormat, ModelIdRequired, ModelNotFound, NoCredits, UploadLimit, BodyTooLarge)


@router.post("", status_code=201, responses=errors(*CREATE_ERRORS))
def create_render(body: CreateRender, account: RendersWrite, farm: FarmDep, effect: EffectDep) -> Data[RenderCreated]:
    """Queue one render of a model."""
    with effect.transaction() as db:
        render = service.create(db, farm, account, body)
        return Data(data=effect.answered(db, RenderCreated.from_row(render)))


@router.post("/batch", status_code=201, responses=errors(*CREATE_ERRORS, RendersRequired, TooMany))
def create_batch(
    body: CreateBatch, account: RendersWrite, farm: FarmDep, effect: EffectDep
) -> Data[list[RenderQueued]]:
    """Queue up to 100 renders: all of them, or none when a setting is wrong or the credits do not suffice."""
    with effect.transaction() as db:
        rows = service.create_batch(db, farm, account, body.renders)
        return Data(data=effect.answered(db, [RenderQueued.from_row(row) for row in rows]))


@router.get("", responses=errors(), response_model_exclude={"data": CAMERAS_IN_LIST})
def list_renders(account: RendersRead, farm: FarmDep, query: Annotated[RenderQuery, Query()]) -> Page[RenderDetail]:
    """The account's renders, newest first unless `sort` says otherwise."""
    with farm.database.read() as db:
        details, total = renders.page(
            db,
            account.id,
            query.listing(query.sort, query.q),
            models=query.models,
            statuses=query.status,
            metadata=query.pairs,
        )
    meta = Meta(total=total, offset=query.offset, limit=query.limit)
    return Page(data=[RenderDetail.from_detail(detail) for detail in details], meta=meta)


@router.get("/{render_id}", responses=errors(RenderNotFound))
def get_render(render_id: RenderInPath, account: RendersRead, farm: FarmDep) -> Data[RenderDetail]:
    """One render, with its progress."""
    with farm.database.read() as db:
        return Data(data=RenderDetail.from_detail(renders.detail(db, account.id, render_id)))


@router.patch("/{render_id}/dismiss", responses=errors(RenderNotFound, Conflict))
def dismiss_render(render_id: RenderInPath, account: RendersWrite, farm: FarmDep) -> Data[RenderDetail]:
    """Acknowledge a failed render: its status changes from `error` to `failed`. Repeating the call has no effect."""
    with farm.database.write() as db:
        service.dismiss(db, account, render_id)
        detail = renders.detail(db, account.id, render_id)
    return Data(data=RenderDetail.from_detail(detail))


@router.delete("/{render_id}", responses=errors(RenderNotFound))
def delete_render(render_id: RenderInPath, account: RendersWrite, farm: FarmDep) -> Data[RenderDeleted]:
    """Delete a render permanently, with its files. A worker that is processing it stops.

    The credits of a render that no worker has started (`pending`) are refunded.
    """
    with farm.database.write() as db:
        service.delete(db, farm, account, render_id)
    return Data(data=RenderDeleted(id=render_id))
