"""Operations on models: upload, ingest, update, archive, delete, download."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryFile
from typing import IO

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from api.assets.service import StoredFile, disposition
from api.dependencies import Farm
from api.effects import Effect
from api.models.schemas import IngestModel, ModelFields, UpdateModel, Uploaded
from api.multipart import Upload, clean_name, path_of
from api.upload_storage import store_upload
from farm.accounts import credits
from farm.db import clock, models, quotas, renders, suspect_models
from farm.db.tables import Account, Model, Tag
from farm.errors import FileNotFound, HarmfulModel, InvalidFormat, UploadLimit
from farm.ids import new_id
from farm.intake import CheckedModel, check_upload, convert_scan, format_of, is_scan, unpack_model
from farm.intake.destinations import destinations
from farm.intake.fetch import fetch
from farm.orders.price import price_of
from farm.orders.render_settings import RenderSettings
from farm.scheduling import submit, validation

CONTENT_TYPES = {"glb": "model/gltf-binary", "gltf": "model/gltf+json"}
INGEST_TIMEOUT_SECONDS = 120
MAX_CONCURRENT_INGESTS = 10  # of one account


@dataclass(frozen=True)
class PreparedModel:
    """A checked file to be stored as a model: the upload itself, or the GLB converted from it."""

    path: Path
    checked: CheckedModel


async def accept_upload(
    farm: Farm,
    account: Account,
    effect: Effect,
    upload: Upload,
    render_settings: RenderSettings,
    fields: ModelFields,
) -> Uploaded:
    """Store an uploaded model and queue its preview and its render; a known file gets another render and the
    fields only.

    Raises InvalidSettings, InvalidFormat (also for a file that is refused for good), NoCredits or UploadLimit. On any
    failure, no row and no file is left.
    """
    if not is_scan(upload.name):
        format_of(upload.name)
    if known := await run_in_threadpool(_render_existing, farm, account, effect, upload, render_settings, fields):
        return known  # without another check or conversion
    await run_in_threadpool(_check_account, farm, account, render_settings)
    async with _prepare(farm, account, effect, upload) as prepared:
        return await run_in_threadpool(
            _store_unless_known, farm, account, effect, upload, prepared, render_settings, fields
        )


async def ingest(farm: Farm, account: Account, effect: Effect, order: IngestModel) -> Uploaded:
    """Like `accept_upload`, for a GLB or glTF that is fetched from a URL. Also raises the errors of `fetch`."""
    with _limit_concurrent_ingests(farm, account), TemporaryFile(dir=farm.settings.data) as file:
        fetched = await fetch(
            order.url,
            file,
            max_bytes=farm.settings.max_upload_bytes,
            timeout_seconds=INGEST_TIMEOUT_SECONDS,
            allowed=destinations(farm.settings),
        )
        name = _gltf_name(clean_name(fetched.name), file)
        upload = Upload(path_of(file), name, fetched.size, fetched.sha256, fields={})
        return await accept_upload(farm, account, effect, upload, order.render_settings, order)


@contextmanager
def _limit_concurrent_ingests(farm: Farm, account: Account) -> Iterator[None]:
    """Count the account's running ingests, each of which may hold a connection for minutes. Raises UploadLimit."""
    if farm.ingests[account.id] >= MAX_CONCURRENT_INGESTS:
        raise UploadLimit(f"{MAX_CONCURRENT_INGESTS} models of this account are being downloaded: wait for one")
    farm.ingests[account.id] += 1
    try:
        yield
    finally:
        farm.ingests[account.id] -= 1
        if not farm.ingests[account.id]:
            del farm.ingests[account.id]


def _gltf_name(name: str, file: IO[bytes]) -> str:
    """The name with the suffix that fits the content, as URLs seldom end in a file name. Raises InvalidFormat."""
    file.seek(0)
    start = file.read(1024)
    if start.startswith(b"glTF"):
        suffix = ".glb"
    elif start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        suffix = ".gltf"
    else:
        raise InvalidFormat("The file at the URL is neither GLB nor glTF")  # quotes no answer of an unknown host
    return name if name.lower().endswith(suffix) else f"{PurePath(name).stem or 'model'}{suffix}"


def _check_account(farm: Farm, account: Account, render_settings: RenderSettings) -> None:
    """Refuse an upload that could not be rendered anyway, before the file costs any work.

    Raises InvalidSettings, NoCredits or UploadLimit.
    """
    with farm.database.read() as db:
        validation.check_without_model(db, account, render_settings)
        credits.check(db, account.id, price_of(render_settings.to_wire()))
        models.check_limit(db, account.id, farm.settings.upload_limit, new=1)
        quotas.check_early(db, account.id, Model, farm.settings)


@asynccontextmanager
async def _prepare(farm: Farm, account: Account, effect: Effect, upload: Upload) -> AsyncIterator[PreparedModel]:
    """Yield the model of an upload, converted if Blender could not read it."""
    checked = None if is_scan(upload.name) else await _check(farm, account, effect, upload.path, upload.name)
    if checked and not checked.packed:
        yield PreparedModel(upload.path, checked)
        return
    with TemporaryFile(dir=farm.settings.data) as glb:
        async with farm.conversions.turn(account.id, effect.abandoned):
            await (unpack_model(upload.path, glb) if checked else convert_scan(upload.path, glb, farm.settings))
        yield PreparedModel(path_of(glb), await _check(farm, account, effect, path_of(glb), "converted.glb"))


async def _check(farm: Farm, account: Account, effect: Effect, path: Path, name: str) -> CheckedModel:
    async with farm.checks.turn(account.id, effect.abandoned):
        return await check_upload(path, name, farm.settings)


def _store_unless_known(
    farm: Farm,
    account: Account,
    effect: Effect,
    upload: Upload,
    prepared: PreparedModel,
    render_settings: RenderSettings,
    fields: ModelFields,
) -> Uploaded:
    with farm.database.read() as db:
        completed = validation.check(db, account, prepared.checked.clips, render_settings)
    if known := _render_existing(farm, account, effect, upload, render_settings, fields):
        return known
    model = Model(
        id=new_id(),
        account_id=account.id,
        original_name=upload.name,
        format=prepared.checked.format,
        clips=prepared.checked.clips,
        file_size=prepared.path.stat().st_size,
        sha256=upload.sha256,
    )
    _change(model, fields)
    try:
        return _store(farm, account, effect, model, prepared.path, completed)
    except IntegrityError:
        # A concurrent request with the same file was first.
        if known := _render_existing(farm, account, effect, upload, render_settings, fields):
            return known
        raise


def _render_existing(
    farm: Farm,
    account: Account,
    effect: Effect,
    upload: Upload,
    render_settings: RenderSettings,
    fields: ModelFields,
) -> Uploaded | None:
    with effect.transaction() as db:
        if suspect_models.refused(db, [upload.sha256], account.id):
            raise HarmfulModel
        model = models.with_content(db, account.id, upload.sha256)
        if model is None:
            return None
        completed = validation.check(db, account, model.clips, render_settings)
        _change(model, fields)
        model.archived_at = None  # an upload of an archived model shows it again
        render = submit.render(db, model, completed, farm.settings, farm.doorbell)
        return effect.answered(db, Uploaded(model_id=model.id, render_id=render.id, duplicate=True))


def _store(
    farm: Farm, account: Account, effect: Effect, model: Model, path: Path, render_settings: RenderSettings
) -> Uploaded:
    with store_upload(farm, effect, model, path) as db:
        submit.preview(db, model, farm.settings, farm.doorbell)
        render = submit.render(db, model, render_settings, farm.settings, farm.doorbell)
        # Last, because charging credits locks the account's row: of two concurrent uploads, the later one counts both.
        models.check_limit(db, account.id, farm.settings.upload_limit)
        return effect.answered(db, Uploaded(model_id=model.id, render_id=render.id))


def update(db: Session, account: Account, model_id: str, change: UpdateModel) -> Model:
    """Change the fields that were sent. Raises ModelNotFound."""
    model = models.owned(db, account.id, model_id)
    _change(model, change)
    return model


def _change(model: Model, change: ModelFields) -> None:
    for field in change.model_fields_set & {"title", "sku", "external_id"}:
        setattr(model, field, getattr(change, field) or None)
    if "tags" in change.model_fields_set:
        model.tags = [Tag(tag=tag, position=position) for position, tag in enumerate(change.tags)]


def archive(db: Session, account: Account, model_id: str) -> Model:
    """Hide a model from lists that do not include archived models. Raises ModelNotFound."""
    model = models.owned(db, account.id, model_id)
    model.archived_at = model.archived_at or clock.now(db)
    return model


def unarchive(db: Session, account: Account, model_id: str) -> Model:
    """Show an archived model in all lists again. Raises ModelNotFound."""
    model = models.owned(db, account.id, model_id)
    model.archived_at = None
    return model


def delete(db: Session, account: Account, model_id: str) -> None:
    """Delete a model, and its preview if that still waits. Raises ModelNotFound.

    Its other renders stay, and its file until no render needs it.
    """
    model = models.owned(db, account.id, model_id)
    # The shots first, as a preview that fails locks its shot and then its model (farm.scheduling.leases).
    for preview in renders.previews(db, model_id):
        waiting = renders.locked(db, preview.id)
        if waiting and waiting.status == "pending":
            renders.remove(db, waiting)
    model.deleted_at = clock.now(db)


def file_of(db: Session, account: Account, model_id: str) -> StoredFile:
    """The model's file as uploaded, or the GLB converted from it. Raises ModelNotFound."""
    model = models.owned(db, account.id, model_id)
    converted = not model.original_name.lower().endswith(f".{model.format}")
    name = f"{PurePath(model.original_name).stem}.{model.format}" if converted else model.original_name
    return StoredFile(
        model.storage_key,
        model.file_size,
        CONTENT_TYPES[model.format],
        f'"{model.sha256}"',
        FileNotFound,
        disposition("attachment", name),
    )
