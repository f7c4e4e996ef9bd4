"""/v1/overlays: upload, list, publish and delete overlays."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.auth import KeyedRoute, OverlaysRead, OverlaysWrite
from api.dependencies import FarmDep
from api.effects import EffectDep, effect_of
from api.envelope import Data, Meta, Page
from api.errors import errors
from api.ids import OverlayInPath
from api.multipart import TextField, Upload, form, receive
from api.overlays import service
from api.overlays.schemas import OverlayCreated, OverlayDeleted, OverlayDetail, OverlayFields, OverlayQuery
from farm.db import overlays
from farm.errors import FileTooLarge, InvalidFormat, NoFile, OverlayNotFound, Unavailable, UploadLimit

router = APIRouter(prefix="/overlays", tags=["Overlays"], route_class=KeyedRoute)

MAX_OVERLAY_BYTES = 10 * 1024 * 1024
FIELDS = [TextField(name, max_bytes=4096) for name in OverlayFields.model_fields]

FORM = form(
    "A PNG, JPEG or WebP of at most 10 MB and 50 million pixels",
    "backdrop.png",
    OverlayFields.model_json_schema(by_alias=True)["properties"],
)


async def _received(request: Request) -> AsyncIterator[Upload]:
    async with receive(request, MAX_OVERLAY_BYTES, FIELDS) as upload:
        await effect_of(request).begin(upload)
        yield upload


Received = Annotated[Upload, Depends(_received, scope="function")]


@router.post("", responses=errors(NoFile, InvalidFormat, FileTooLarge, UploadLimit, Unavailable), openapi_extra=FORM)
async def upload_overlay(
    upload: Received, account: OverlaysWrite, farm: FarmDep, effect: EffectDep
) -> Data[OverlayCreated]:
    """Upload an image. It is stored upright, in sRGB and without metadata; of an animated image, the first frame."""
    return Data(data=await service.accept_upload(farm, account, effect, upload))


@router.get("", responses=errors())
def list_overlays(account: OverlaysRead, farm: FarmDep, query: Annotated[OverlayQuery, Query()]) -> Page[OverlayDetail]:
    """The account's overlays and all published ones, newest first unless `sort` says otherwise."""
    with farm.database.read() as db:
        rows, total = overlays.page(db, account.id, query.listing(query.sort, query.q), layer=query.layer)
    meta = Meta(total=total, offset=query.offset, limit=query.limit)
    return Page(data=[OverlayDetail.from_row(row) for row in rows], meta=meta)


@router.patch("/{overlay_id}/publish", responses=errors(OverlayNotFound))
def publish_overlay(overlay_id: OverlayInPath, account: OverlaysWrite, farm: FarmDep) -> Data[OverlayDetail]:
    """Let every account use an overlay of your own. Admin accounts only."""
    with farm.database.write() as db:
        return Data(data=OverlayDetail.from_row(service.set_published(db, account, overlay_id, True)))


@router.patch("/{overlay_id}/unpublish", responses=errors(OverlayNotFound))
def unpublish_overlay(overlay_id: OverlayInPath, account: OverlaysWrite, farm: FarmDep) -> Data[OverlayDetail]:
    """Make a published overlay of your own private again. Existing renders keep it. Admin accounts only."""
    with farm.database.write() as db:
        return Data(data=OverlayDetail.from_row(service.set_published(db, account, overlay_id, False)))


@router.delete("/{overlay_id}", responses=errors(OverlayNotFound))
def delete_overlay(overlay_id: OverlayInPath, account: OverlaysWrite, farm: FarmDep) -> Data[OverlayDeleted]:
    """Delete an overlay of your own. Queued renders with it still finish; new renders cannot use it."""
    with farm.database.write() as db:
        service.delete(db, account, overlay_id)
    return Data(data=OverlayDeleted(id=overlay_id))
