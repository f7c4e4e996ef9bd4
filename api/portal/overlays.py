"""The page of overlays: upload, see how each is cropped in every aspect, delete."""

from collections.abc import AsyncIterator
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Request, Response

from api.assets.service import StoredFile, disposition, file_response
from api.dependencies import FarmDep
from api.effects import EffectDep
from api.multipart import Upload, receive
from api.overlays import service
from api.overlays.endpoints import FIELDS, MAX_OVERLAY_BYTES
from api.portal import pages
from api.portal.visitors import PortalRoute, VisitorDep, redirect
from farm.db import overlays
from farm.db.lists import Listing
from farm.errors import OverlayNotFound
from farm.orders.plan import ASPECT_RATIOS
from farm.orders.render_settings import Anchor

router = APIRouter(route_class=PortalRoute)

PAGE = "/portal/overlays"
PAGE_SIZE = 24
MAX_OFFSET = 1_000_000


async def _received(request: Request) -> AsyncIterator[Upload]:
    async with receive(request, MAX_OVERLAY_BYTES, FIELDS) as upload:
        yield upload


Received = Annotated[Upload, Depends(_received, scope="function")]


@router.get("/overlays")
def list_overlays(request: Request, visitor: VisitorDep, farm: FarmDep) -> Response:
    """The account's overlays and all published ones."""
    offset = pages.offset(request.query_params.get("offset", ""), MAX_OFFSET)
    with farm.database.read() as db:
        rows, total = overlays.page(db, visitor.account.id, Listing(limit=PAGE_SIZE, offset=offset), layer=None)
    return pages.page(
        request,
        "overlays.html",
        has_blobs=True,
        overlays=rows,
        total=total,
        offset=offset,
        page_size=PAGE_SIZE,
        link=lambda at: f"{PAGE}?offset={at}",
        aspects=list(ASPECT_RATIOS),
        anchors=get_args(Anchor),
        max_bytes=MAX_OVERLAY_BYTES,
    )


@router.post("/overlays")
async def upload_overlay(upload: Received, visitor: VisitorDep, farm: FarmDep, effect: EffectDep) -> Response:
    """Store a picture as the API does, and lead to the list."""
    await service.accept_upload(farm, visitor.account, effect, upload)
    return Response(status_code=204, headers={"HX-Redirect": PAGE, "Cache-Control": "no-store"})


@router.get("/overlays/{overlay_id}/file")
def get_file(request: Request, overlay_id: str, visitor: VisitorDep, farm: FarmDep) -> Response:
    """The picture of an overlay. Raises OverlayNotFound."""
    with farm.database.read() as db:
        row = overlays.usable(db, visitor.account.id, overlay_id)
    name = disposition("inline", row.storage_key.rpartition("/")[2])
    file = StoredFile(row.storage_key, row.file_size, row.content_type, f'"{row.id}"', OverlayNotFound, name)
    return pages.private(file_response(request, farm.storage, file), visitor.account.id)


@router.post("/overlays/{overlay_id}/delete")
def delete_overlay(overlay_id: str, visitor: VisitorDep, effect: EffectDep) -> Response:
    """Delete an overlay of the account's own. Raises OverlayNotFound."""
    with effect.transaction() as db:
        service.delete(db, visitor.account, overlay_id)
    return redirect(PAGE)
