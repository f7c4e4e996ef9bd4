"""/v1/renders/:id/video, /poster, /thumb and /bundle: the finished files."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from api.assets import service
from api.assets.bundle import bundle, bundle_response
from api.auth import KeyedRoute, RendersRead
from api.dependencies import FarmDep
from api.errors import errors
from api.ids import RenderInPath
from farm.errors import (
    FarmError,
    PosterNotFound,
    RangeNotSatisfiable,
    RenderNotFound,
    ThumbNotFound,
    Unavailable,
    VideoNotFound,
)

router = APIRouter(prefix="/renders/{render_id}", tags=["Assets"], route_class=KeyedRoute)


NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The file that `If-None-Match` names is unchanged"}
}
REDIRECT: dict[int | str, dict[str, Any]] = {
    302: {"description": "`Location` is a URL of the file, valid for one hour; only on farms that serve files from S3"}
}
VIDEO_TYPES = ["video/mp4", "video/quicktime"]


def file_responses(content_types: list[str], *kinds: type[FarmError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` of an endpoint that sends a file of one of these content types."""
    content = {content_type: {"schema": {"type": "string", "format": "binary"}} for content_type in content_types}
    whole = {"description": "The file", "content": content}
    part = {"description": "The part that `Range` requests", "content": content}
    return {200: whole, 206: part, **REDIRECT, **NOT_MODIFIED} | errors(RangeNotSatisfiable, Unavailable, *kinds)


@router.head("/video", include_in_schema=False)
@router.get(
    "/video",
    response_class=Response,
    responses=file_responses(VIDEO_TYPES, RenderNotFound, VideoNotFound),
)
def get_video(
    request: Request,
    render_id: RenderInPath,
    account: RendersRead,
    farm: FarmDep,
    quality: Annotated[
        Literal["web"] | None, Query(description="`web`: the smaller MP4, if `hasWebVariant` is true")
    ] = None,
) -> Response:
    """The finished video: an MP4, or a QuickTime movie for quality `pro`."""
    with farm.database.read() as db:
        file = service.asset(db, account, render_id, quality or "video", VideoNotFound)
    return service.file_response(request, farm.storage, file)


@router.head("/poster", include_in_schema=False)
@router.get("/poster", response_class=Response, responses=file_responses(["image/png"], RenderNotFound, PosterNotFound))
def get_poster(
    request: Request,
    render_id: RenderInPath,
    account: RendersRead,
    farm: FarmDep,
    quality: Annotated[Literal["full"] | None, Query(description="`full`: at the size of the video")] = None,
) -> Response:
    """The poster, available from status `poster-done` on: small, or at the size of the video.

    The first frame; the last where the camera path does not loop.
    """
    with farm.database.read() as db:
        file = service.asset(db, account, render_id, "poster-full" if quality else "poster", PosterNotFound)
    return service.file_response(request, farm.storage, file)


@router.head("/thumb", include_in_schema=False)
@router.get("/thumb", response_class=Response, responses=file_responses(["video/mp4"], RenderNotFound, ThumbNotFound))
def get_thumb(request: Request, render_id: RenderInPath, account: RendersRead, farm: FarmDep) -> Response:
    """The video at a quarter of its width and height."""
    with farm.database.read() as db:
        file = service.asset(db, account, render_id, "thumb", ThumbNotFound)
    return service.file_response(request, farm.storage, file)


@router.head("/thumb.jpg", include_in_schema=False)
@router.get(
    "/thumb.jpg", response_class=Response, responses=file_responses(["image/jpeg"], RenderNotFound, ThumbNotFound)
)
def get_thumb_still(request: Request, render_id: RenderInPath, account: RendersRead, farm: FarmDep) -> Response:
    """The poster as a JPEG at a quarter of its width and height, available as early."""
    with farm.database.read() as db:
        file = service.asset(db, account, render_id, "thumb-still", ThumbNotFound)
    return service.file_response(request, farm.storage, file)


@router.head("/bundle", include_in_schema=False)
@router.get(
    "/bundle", response_class=Response, responses=file_responses(["application/zip"], RenderNotFound, VideoNotFound)
)
def get_bundle(request: Request, render_id: RenderInPath, account: RendersRead, farm: FarmDep) -> Response:
    """All files of a finished render in one zip: the video, its web variant, the large poster, the thumbnail.

    For a dataset, the zip is the dataset itself; only this zip supports `Range`.
    """
    with farm.database.read() as db:
        found = bundle(db, account, render_id)
    return bundle_response(request, farm.storage, found)
