"""All of the operator's pages, under /operator."""

from fastapi import APIRouter, Request, Response

from api.operator import accounts, audit, history, nodes, overlays, renders, templates_page, work
from api.portal.visitors import OperatorDep, PortalRoute, redirect
from farm.errors import NotFound

PARTS = (nodes, work, renders, history, accounts, overlays, templates_page, audit)

router = APIRouter(route_class=PortalRoute)


@router.get("/operator")
async def get_home(_: OperatorDep) -> Response:
    return redirect(nodes.PAGE)


for part in PARTS:
    router.include_router(part.router, prefix="/operator")


@router.get("/operator/{path:path}")
async def get_other(_request: Request, path: str, _: OperatorDep) -> Response:
    """Raises NotFound, which becomes a page."""
    raise NotFound(f"There is no page {path[:80]}")
