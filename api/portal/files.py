"""The finished files of renders, and the files of models, for pages: the same as in the API, by cookie."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from api.assets import service as assets
from api.assets.bundle import bundle, bundle_response
from api.dependencies import FarmDep
from api.models import service as models
from api.portal import pages
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


@router.get("/renders/{render_id}/files/{kind}")
def get_file(request: Request, render_id: str, kind: str, visitor: VisitorDep, farm: FarmDep) -> Response:
    """A file of a render; with `?download` to be saved. Raises NotFound, RenderNotFound or that of the kind."""
    if kind not in MISSING:
        raise NotFound
    with farm.database.read() as db:
        file = assets.asset(db, visitor.account, render_id, kind, MISSING[kind])
    if "download" in request.query_params:
        file = replace(file, disposition=file.disposition.replace("inline", "attachment", 1))
    return pages.private(assets.file_response(request, farm.storage, file), visitor.account.id)


@router.get("/renders/{render_id}/bundle")
def get_bundle(request: Request, render_id: str, visitor: VisitorDep, farm: FarmDep) -> Response:
    """All files of a render in a zip. Raises RenderNotFound or VideoNotFound."""
    with farm.database.read() as db:
        found = bundle(db, visitor.account, render_id)
    return pages.private(bundle_response(request, farm.storage, found), visitor.account.id)


@router.get("/models/{model_id}/file")
def get_model_file(request: Request, model_id: str, visitor: VisitorDep, farm: FarmDep) -> Response:
    """A model's file. Raises ModelNotFound or FileNotFound."""
    with farm.database.read() as db:
        file = models.file_of(db, visitor.account, model_id)
    return pages.private(assets.file_response(request, farm.storage, file), visitor.account.id)
