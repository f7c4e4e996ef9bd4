"""What happens to models: taken in, looked at, handed back."""

from urllib.parse import quote

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api.assets.service import StoredFile
from api.dependencies import Farm
from api.models.schemas import Uploaded
from api.models.upload import Upload
from farm import schedule
from farm.db import models
from farm.db.tables import Account, Model, new_id
from farm.errors import FileNotFound
from farm.intake import check_model
from farm.render_settings import RenderSettings, parse_json

CONTENT_TYPES = {"glb": "model/gltf-binary", "gltf": "model/gltf+json"}


def take_in(farm: Farm, account: Account, upload: Upload) -> Uploaded:
    """Keep an uploaded model and queue its preview and its render; a known file only gets another render.

    Raises InvalidSettings, InvalidFormat, NoCredits or UploadLimit; then, as on any other failure, no row and no file
    is left behind.
    """
    wish = RenderSettings() if upload.render_settings is None else parse_json(upload.render_settings)
    checked = check_model(upload.path, upload.name)
    wish.check_against(checked.clips, admin=account.is_admin)
    if known := _render_known(farm, account, upload, wish):
        return known
    model = Model(
        id=new_id(),
        account_id=account.id,
        original_name=upload.name,
        format=checked.format,
        clips=checked.clips,
        file_size=upload.size,
        sha256=upload.sha256,
    )
    try:
        return _keep(farm, account, model, upload, wish)
    except IntegrityError:
        # The same file came in twice at once, and the other request was first.
        if known := _render_known(farm, account, upload, wish):
            return known
        raise


def _render_known(farm: Farm, account: Account, upload: Upload, wish: RenderSettings) -> Uploaded | None:
    with farm.database.write() as db:
        model = models.with_content(db, account.id, upload.sha256)
        if model is None:
            return None
        render = schedule.render(db, model, wish, farm.settings, farm.bell)
        return Uploaded(model_id=model.id, render_id=render.id, duplicate=True)


def _keep(farm: Farm, account: Account, model: Model, upload: Upload, wish: RenderSettings) -> Uploaded:
    # The file first, so that no worker can find a row without one; and outside the transaction, which is short.
    try:
        farm.storage.put(model.storage_key, upload.path)
        with farm.database.write() as db:
            db.add(model)
            db.flush()
            schedule.preview(db, model, farm.settings, farm.bell)
            render = schedule.render(db, model, wish, farm.settings, farm.bell)
            # Last, because taking credits locks the account's row: of two uploads at once, the later one counts both.
            models.check_limit(db, account.id, farm.settings.upload_limit)
            return Uploaded(model_id=model.id, render_id=render.id)
    except BaseException:
        farm.storage.delete(model.storage_key)
        raise


def file_of(db: Session, account: Account, model_id: str) -> StoredFile:
    """The model's file, as it was uploaded. Raises ModelNotFound."""
    model = models.owned(db, account.id, model_id)
    return StoredFile(
        model.storage_key,
        model.file_size,
        CONTENT_TYPES[model.format],
        f'"{model.sha256}"',
        FileNotFound,
        {"Content-Disposition": attachment(model.original_name)},
    )


def attachment(name: str) -> str:
    """A Content-Disposition (RFC 6266): the name in ASCII for old clients, and as it is for all others."""
    plain = "".join(letter if letter.isascii() and letter not in '"\\' else "_" for letter in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
