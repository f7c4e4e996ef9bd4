"""Operations on overlays: upload, publish, delete."""

from pathlib import Path
from tempfile import TemporaryFile

from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from api.dependencies import Farm
from api.effects import Effect
from api.multipart import Upload, path_of
from api.overlays.schemas import OverlayCreated, OverlayFields
from api.upload_storage import store_upload
from api.validation_messages import explain
from farm.db import audit, clock, overlays, quotas
from farm.db.tables import Account, Overlay
from farm.errors import Forbidden, InvalidRequest
from farm.ids import new_id
from farm.intake import confined_process

PICTURE_TIMEOUT_SECONDS, MAX_PICTURE_MEMORY_MB = 30, 2048
SUFFIXES = {"image/webp": "webp", "image/jpeg": "jpg"}


async def accept_upload(farm: Farm, account: Account, effect: Effect, upload: Upload) -> OverlayCreated:
    """Re-encode and store an image. Raises InvalidFormat or InvalidRequest; on failure, no row or file is left."""
    fields = _checked(upload.fields)
    await run_in_threadpool(_check_quotas, farm, account)
    with TemporaryFile(dir=farm.settings.data) as file:
        async with farm.pictures.turn(account.id, effect.abandoned):
            facts = await confined_process.run(
                "farm.intake.picture",
                upload.path,
                file,
                timeout_seconds=PICTURE_TIMEOUT_SECONDS,
                memory_mb=MAX_PICTURE_MEMORY_MB,
            )
        path, overlay_id = path_of(file), new_id()
        overlay = Overlay(
            id=overlay_id,
            account_id=account.id,
            layer=fields.layer,
            name=fields.name or None,
            description=fields.description or None,
            alignment=fields.alignment,
            storage_key=f"overlays/{overlay_id}.{SUFFIXES[facts['content_type']]}",
            file_size=path.stat().st_size,
            **facts,
        )
        return await run_in_threadpool(_store, farm, effect, overlay, path)


def _check_quotas(farm: Farm, account: Account) -> None:
    with farm.database.read() as db:
        quotas.check_early(db, account.id, Overlay, farm.settings)


def _checked(fields: dict[str, str]) -> OverlayFields:
    try:
        return OverlayFields.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(explain(error.errors()[0])) from error


def _store(farm: Farm, effect: Effect, overlay: Overlay, path: Path) -> OverlayCreated:
    with store_upload(farm, effect, overlay, path) as db:
        return effect.answered(db, OverlayCreated.from_row(overlay))


def set_published(db: Session, account: Account, overlay_id: str, published: bool) -> Overlay:
    """Let all accounts use an overlay, or only its owner. Raises Forbidden for non-admins, and OverlayNotFound."""
    if not account.is_admin:
        raise Forbidden("Only admin accounts may publish overlays")
    overlay = overlays.owned(db, account.id, overlay_id)
    overlay.published = published
    action = "overlays publish" if published else "overlays unpublish"
    audit.record(db, account.id, action, overlay_id, account_id=account.id)
    return overlay


def delete(db: Session, account: Account, overlay_id: str) -> None:
    """Delete an overlay of the account's own. Its file stays until no queued or running render needs it.

    Raises OverlayNotFound.
    """
    overlays.owned(db, account.id, overlay_id).deleted_at = clock.now(db)
