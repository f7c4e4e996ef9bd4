"""All pages of the portal, under /portal."""

from fastapi import APIRouter, Request, Response

from api.portal import account, files, keys, log_in, models, order, overlays, renders, static_files
from api.portal.visitors import GuestDep, PortalRoute, VisitorDep, redirect
from farm.errors import NotFound

PARTS = (static_files, log_in, account, keys, order, renders, models, overlays, files)

router = APIRouter(route_class=PortalRoute)


@router.get("/portal")
async def get_home(_: VisitorDep) -> Response:
    return redirect(renders.PAGE)


for part in PARTS:
    router.include_router(part.router, prefix="/portal")


@router.get("/portal/{path:path}")
async def get_other(_request: Request, path: str, _: GuestDep) -> Response:
    """Raises NotFound, which becomes a page."""
    raise NotFound(f"There is no page {path[:80]}")
