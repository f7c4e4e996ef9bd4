"""The page of system overlays: an operator publishes overlays of the own account for all accounts."""

from fastapi import APIRouter, Request, Response

from api.dependencies import FarmDep
from api.effects import EffectDep
from api.overlays import service
from api.portal import pages
from api.portal.visitors import OperatorDep, PortalRoute, redirect
from farm.db import overlays
from farm.db.lists import Listing
from farm.errors import NotFound
from farm.orders.plan import ASPECT_RATIOS

router = APIRouter(route_class=PortalRoute)

PAGE = "/operator/overlays"
PAGE_SIZE = 24
MAX_OFFSET = 1_000_000


@router.get("/overlays")
def list_overlays(request: Request, operator: OperatorDep, farm: FarmDep) -> Response:
    """The published overlays, and the operator's own."""
    offset = pages.offset(request.query_params.get("offset", ""), MAX_OFFSET)
    with farm.database.read() as db:
        rows, total = overlays.page(db, operator.account.id, Listing(limit=PAGE_SIZE, offset=offset), layer=None)
    return pages.page(
        request,
        "operator/overlays.html",
        overlays=rows,
        total=total,
        offset=offset,
        page_size=PAGE_SIZE,
        link=lambda offset: f"{PAGE}?offset={offset}",
        aspects=list(ASPECT_RATIOS),
    )


@router.post("/overlays/{overlay_id}/{action}")
def change_overlay(overlay_id: str, action: str, operator: OperatorDep, effect: EffectDep) -> Response:
    """Publish an overlay, or let only its owner use it. Raises OverlayNotFound."""
    if action not in ("publish", "unpublish"):
        raise NotFound
    with effect.transaction() as db:
        service.set_published(db, operator.account, overlay_id, action == "publish")
    return redirect(PAGE)
