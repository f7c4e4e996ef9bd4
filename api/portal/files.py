"""The finished files of renders, and the files of models, for pages: the same as in the API, by cookie."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from api.assets import service as assets
from api.assets.bundle import bundle, bundle_response
from api.auth import Download
from api.dependencies import FarmDep
from api.models import service as models
from api.portal.visitors import PortalRoute, VisitorDep
from farm.errors import NotFound, PosterNotFound, ThumbNotFound, VideoNotFound

router = APIRouter(route_class=PortalRoute)

MISSING = {
    "video": VideoNotFound,
    "web": VideoNotFound,
    "thumb": ThumbNotFound,
    "thumb-still": ThumbNotFound,
    "poster": PosterNotFound,
    "poster-full": PosterNotFound,
}
KEPT_HEADERS = {"Cross-Origin-Resource-Policy": "same-origin"}  # unlike in the API, where a key is sent


@router.get("/renders/{render_id}/files/{kind}")
def get_file(request: Request, render_id: str, kind: str, visitor: VisitorDep, farm: FarmDep) -> Response:
    """A file of a render; with `?download` to be saved. Raises NotFound, RenderNotFound or that of the kind."""
    if kind not in MISSING:
        raise NotFound
    with farm.database.read() as db:
        file = assets.asset(db, visitor.account, render_id, kind, MISSING[kind])
    if "download" in request.query_params:
        file = replace(file, disposition=file.disposition.replace("inline", "attachment", 1))
    return _sent(assets.file_response(request, farm.storage, file), visitor.account.id)


@router.get("/renders/{render_id}/bundle")
def get_bundle(request: Request, render_id: str, visitor: VisitorDep, farm: FarmDep) -> Response:
    """All files of a render in a zip. Raises RenderNotFound or VideoNotFound."""
    with farm.database.read() as db:
        found = bundle(db, visitor.account, render_id)
    return _sent(bundle_response(request, farm.storage, found), visitor.account.id)


@router.get("/models/{model_id}/file")
def get_model_file(request: Request, model_id: str, visitor: VisitorDep, farm: FarmDep) -> Response:
    """A model's file. Raises ModelNotFound or FileNotFound."""
    with farm.database.read() as db:
        file = models.file_of(db, visitor.account, model_id)
    return _sent(assets.file_response(request, farm.storage, file), visitor.account.id)


def _sent(response: Response, account_id: str) -> Response:
    response.headers.update(KEPT_HEADERS)
    return Download(response, account_id) if isinstance(response, StreamingResponse) else response
