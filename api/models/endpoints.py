"""/v1/models: upload, list, change, download and delete models."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.assets.endpoints import file_responses
from api.assets.service import file_response
from api.auth import KeyedRoute, ModelsRead, ModelsWrite
from api.dependencies import FarmDep, farm_of
from api.effects import EffectDep, effect_of
from api.envelope import Data, Meta, Page
from api.errors import errors
from api.ids import ModelInPath
from api.models import service, tags
from api.models.schemas import (
    FORM_FIELDS,
    CheckHash,
    HashChecked,
    IngestModel,
    ModelDeleted,
    ModelDetail,
    ModelFields,
    ModelItem,
    ModelQuery,
    UpdateModel,
    Uploaded,
)
from api.multipart import TextField, Upload, form, receive
from api.renders.schemas import CAMERAS_IN_LIST
from farm.db import models
from farm.errors import (
    BodyTooLarge,
    DownloadFailed,
    DownloadTimeout,
    FileNotFound,
    FileTooLarge,
    InvalidFormat,
    InvalidSettings,
    InvalidUrl,
    ModelNotFound,
    NoCredits,
    NoFile,
    Sha256Required,
    Unavailable,
    UploadLimit,
    UrlRequired,
)
from farm.orders.render_settings import RenderSettings, parse_json

router = APIRouter(prefix="/models", tags=["Models"], route_class=KeyedRoute)

SETTINGS = TextField("renderSettings", 64 * 1024, InvalidSettings)
MAX_FIELD_BYTES = 8192
FIELDS = [TextField(field.alias or name, MAX_FIELD_BYTES) for name, field in ModelFields.model_fields.items()]

FORM = form(
    "A `.glb`, a `.gltf` with everything embedded, or a `.zip` with an OBJ scan",
    "chair.glb",
    {
        SETTINGS.name: {
            "$ref": "#/components/schemas/RenderSettings",
            "description": "Render settings as JSON, at most 64 KB. Default: all defaults",
        },
        **FORM_FIELDS,
    },
    encoding={SETTINGS.name: {"contentType": "application/json"}},
)


async def _received(request: Request) -> AsyncIterator[Upload]:
    async with receive(request, farm_of(request).settings.max_upload_bytes, [SETTINGS, *FIELDS]) as upload:
        await effect_of(request).begin(upload)
        yield upload


Received = Annotated[Upload, Depends(_received, scope="function")]


@router.post(
    "",
    status_code=201,
    responses=errors(NoFile, InvalidFormat, FileTooLarge, InvalidSettings, NoCredits, UploadLimit, Unavailable),
    response_model_exclude_none=True,
    openapi_extra=FORM,
)
async def upload_model(upload: Received, account: ModelsWrite, farm: FarmDep, effect: EffectDep) -> Data[Uploaded]:
    """Upload a model and queue a render of it, and a free preview that also tests the model's integrity.

    A file that the account has uploaded before gets another render, and `duplicate: true` in the response; its title,
    SKU, external id and tags are changed to those sent. A zipped OBJ scan, and a model with meshopt compression or KTX2
    textures, is converted to GLB.
    """
    text = upload.fields.get(SETTINGS.name)
    render_settings = RenderSettings() if text is None else parse_json(text)
    fields = ModelFields.from_form(upload.fields)
    return Data(data=await service.accept_upload(farm, account, effect, upload, render_settings, fields))


@router.post(
    "/ingest",
    status_code=201,
    responses=errors(
        *(UrlRequired, InvalidUrl, DownloadFailed, DownloadTimeout),
        *(InvalidFormat, FileTooLarge, InvalidSettings, BodyTooLarge, NoCredits, UploadLimit, Unavailable),
    ),
    response_model_exclude_none=True,
)
async def ingest_model(body: IngestModel, account: ModelsWrite, farm: FarmDep, effect: EffectDep) -> Data[Uploaded]:
    """Like an upload, for a GLB or glTF that the farm downloads from a public URL within 2 minutes."""
    return Data(data=await service.ingest(farm, account, effect, body))


@router.post("/check-hash", responses=errors(Sha256Required, BodyTooLarge), response_model_exclude_none=True)
def check_hash(body: CheckHash, account: ModelsRead, farm: FarmDep) -> Data[HashChecked]:
    """Check before an upload whether the file with this SHA-256 would be a duplicate."""
    with farm.database.read() as db:
        model = models.with_content(db, account.id, body.sha256.lower())
    return Data(data=HashChecked(exists=model is not None, model_id=model.id if model else None))


@router.get("", responses=errors())
def list_models(account: ModelsRead, farm: FarmDep, query: Annotated[ModelQuery, Query()]) -> Page[ModelItem]:
    """The account's models, newest first unless `sort` says otherwise."""
    with farm.database.read() as db:
        rows, total = models.page(
            db,
            account.id,
            query.listing(query.sort, query.q),
            tags=tags.from_query(query.tags),
            external_id=query.external_id,
            archived=query.archived,
        )
    meta = Meta(total=total, offset=query.offset, limit=query.limit)
    return Page(data=[ModelItem.from_row(row) for row in rows], meta=meta)


@router.get(
    "/{model_id}",
    responses=errors(ModelNotFound),
    response_model_exclude={"data": {"renders": CAMERAS_IN_LIST}},
)
def get_model(model_id: ModelInPath, account: ModelsRead, farm: FarmDep) -> Data[ModelDetail]:
    """One model with its newest renders."""
    with farm.database.read() as db:
        return Data(data=ModelDetail.from_detail(models.detail(db, account.id, model_id)))


@router.patch("/{model_id}", responses=errors(ModelNotFound, BodyTooLarge))
def update_model(model_id: ModelInPath, body: UpdateModel, account: ModelsWrite, effect: EffectDep) -> Data[ModelItem]:
    """Change title, SKU, external id or tags. Fields that are not sent stay unchanged."""
    with effect.transaction() as db:
        return Data(data=ModelItem.from_row(service.update(db, account, model_id, body)))


@router.patch("/{model_id}/archive", responses=errors(ModelNotFound))
def archive_model(model_id: ModelInPath, account: ModelsWrite, farm: FarmDep) -> Data[ModelItem]:
    """Hide a model from lists that do not include archived models. Uploading its file again unarchives it."""
    with farm.database.write() as db:
        return Data(data=ModelItem.from_row(service.archive(db, account, model_id)))


@router.patch("/{model_id}/unarchive", responses=errors(ModelNotFound))
def unarchive_model(model_id: ModelInPath, account: ModelsWrite, farm: FarmDep) -> Data[ModelItem]:
    """Show an archived model in all lists again."""
    with farm.database.write() as db:
        return Data(data=ModelItem.from_row(service.unarchive(db, account, model_id)))


@router.delete("/{model_id}", responses=errors(ModelNotFound))
def delete_model(model_id: ModelInPath, account: ModelsWrite, farm: FarmDep) -> Data[ModelDeleted]:
    """Delete a model, and its preview if that still waits.

    Its renders stay, and running ones finish; uploading the file again creates a new model.
    """
    with farm.database.write() as db:
        service.delete(db, account, model_id)
    return Data(data=ModelDeleted(id=model_id))


@router.head("/{model_id}/file", include_in_schema=False)
@router.get(
    "/{model_id}/file",
    response_class=Response,
    responses=file_responses(list(service.CONTENT_TYPES.values()), ModelNotFound, FileNotFound),
)
def get_model_file(request: Request, model_id: ModelInPath, account: ModelsRead, farm: FarmDep) -> Response:
    """The model's file as it was uploaded, or the GLB converted from it."""
    with farm.database.read() as db:
        file = service.file_of(db, account, model_id)
    return file_response(request, farm.storage, file)
