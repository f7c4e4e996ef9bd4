"""/v1/renders: order, list, look at and delete renders."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import KeyedRoute, Signed
from api.dependencies import Reading, TheFarm, Writing
from api.envelope import Data, Meta, Page
from api.errors import errors
from api.renders import service
from api.renders.schemas import CreateRender, RenderCreated, RenderDeleted, RenderDetail, Status
from farm.db import renders
from farm.errors import BodyTooLarge, InvalidSettings, ModelIdRequired, ModelNotFound, RenderNotFound

router = APIRouter(prefix="/renders", tags=["Renders"], route_class=KeyedRoute)


@router.post("", status_code=201, responses=errors(InvalidSettings, ModelIdRequired, ModelNotFound, BodyTooLarge))
def create_render(body: CreateRender, account: Signed, db: Writing, farm: TheFarm) -> Data[RenderCreated]:
    """Queue one render of a model."""
    render = service.create(db, farm, account, body.model_id, body.render_settings)
    return Data(data=RenderCreated.from_row(render))


@router.get("", responses=errors())
def list_renders(
    account: Signed,
    db: Reading,
    model: Annotated[str | None, Query(description="Only renders of this model")] = None,
    status: Annotated[Status | None, Query(description="Only renders with this status")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Page[RenderDetail]:
    """The account's renders, newest first."""
    rows, total = renders.page(db, account.id, model_id=model, status=status, limit=limit, offset=offset)
    return Page(data=[RenderDetail.from_row(row) for row in rows], meta=Meta(total=total, offset=offset, limit=limit))


@router.get("/{render_id}", responses=errors(RenderNotFound))
def get_render(render_id: str, account: Signed, db: Reading) -> Data[RenderDetail]:
    """One render, with its progress."""
    return Data(data=RenderDetail.from_row(renders.owned(db, account.id, render_id)))


@router.delete("/{render_id}", responses=errors(RenderNotFound))
def delete_render(render_id: str, account: Signed, db: Writing, farm: TheFarm) -> Data[RenderDeleted]:
    """Delete a render for good, with its files. A worker that is busy with it stops."""
    service.delete(db, farm, account, render_id)
    return Data(data=RenderDeleted(id=render_id))
