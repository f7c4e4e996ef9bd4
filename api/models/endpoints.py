"""/v1/models: upload models, look at them, get them back."""

from typing import Any

from fastapi import APIRouter, Request, Response

from api.assets.endpoints import file_responses
from api.assets.service import deliver
from api.auth import KeyedRoute, ModelsRead, ModelsWrite
from api.dependencies import TheFarm
from api.envelope import Data
from api.errors import errors
from api.models import service
from api.models.schemas import ModelDetail, Uploaded
from api.models.upload import Received
from farm.db import models
from farm.errors import (
    FileNotFound,
    FileTooLarge,
    InvalidFormat,
    InvalidSettings,
    ModelNotFound,
    NoCredits,
    NoFile,
    UploadLimit,
)

router = APIRouter(prefix="/models", tags=["Models"], route_class=KeyedRoute)

# The form is read as a stream, so FastAPI cannot know of it.
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "A `.glb`, or a `.gltf` with everything embedded",
                        },
                        "renderSettings": {"$ref": "#/components/schemas/RenderSettings"},
                    },
                },
                "encoding": {"renderSettings": {"contentType": "application/json"}},
            }
        },
    }
}


@router.post(
    "",
    status_code=201,
    responses=errors(NoFile, InvalidFormat, FileTooLarge, InvalidSettings, NoCredits, UploadLimit),
    response_model_exclude_none=True,
    openapi_extra=UPLOAD,
)
def upload_model(upload: Received, account: ModelsWrite, farm: TheFarm) -> Data[Uploaded]:
    """Upload a model and queue a render of it, and a free preview that also tests the model's integrity.

    A file that the account has uploaded before gets another render, and `duplicate: true` in the answer.
    """
    return Data(data=service.take_in(farm, account, upload))


@router.get("/{model_id}", responses=errors(ModelNotFound))
def get_model(model_id: str, account: ModelsRead, farm: TheFarm) -> Data[ModelDetail]:
    """One model with all its renders."""
    with farm.database.read() as db:
        return Data(data=ModelDetail.from_row(models.owned_with_renders(db, account.id, model_id)))


@router.head("/{model_id}/file", include_in_schema=False)
@router.get(
    "/{model_id}/file",
    response_class=Response,
    responses=file_responses(["model/gltf-binary"], ModelNotFound, FileNotFound),
)
def get_model_file(request: Request, model_id: str, account: ModelsRead, farm: TheFarm) -> Response:
    """The model's file, as it was uploaded."""
    with farm.database.read() as db:
        file = service.file_of(db, account, model_id)
    return deliver(request, farm.storage, file)
