"""All files of a finished render as one zip: a dataset is one already, a video's is made while it is sent."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePath

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session
from zipstream import ZIP_STORED, ZipStream

from api.assets.service import IMMUTABLE, StoredFile, disposition, file_response, is_not_modified, stem
from farm.db import renders
from farm.db.tables import Account, Asset
from farm.errors import VideoNotFound
from farm.storage import Storage

# What the files are called inside, before their endings; the small poster stays out.
NAMES = {"video": "video", "web": "web", "poster-full": "poster", "thumb": "thumb"}


@dataclass(frozen=True)
class Bundle:
    """What a render's zip is called, and the assets in it by their names there."""

    name: str
    assets: dict[str, Asset]


def bundle(db: Session, account: Account, render_id: str) -> Bundle | StoredFile:
    """What belongs into the zip, or the zip. Raises RenderNotFound, or VideoNotFound until the render is done."""
    render = renders.owned(db, account.id, render_id)
    if render.status != "done":
        raise VideoNotFound
    by_kind = {asset.kind: asset for asset in render.assets}
    if found := by_kind.get("dataset"):
        name = disposition("attachment", f"{stem(render)}.zip")
        tag = f'"{found.id}"'
        return StoredFile(found.storage_key, found.size, found.content_type, tag, VideoNotFound, name, IMMUTABLE)
    assets = {
        NAMES[kind] + PurePath(by_kind[kind].storage_key).suffix: by_kind[kind] for kind in NAMES if kind in by_kind
    }
    return Bundle(f"{stem(render)}.zip", assets)


def bundle_response(request: Request, storage: Storage, bundle: Bundle | StoredFile) -> Response:
    """The answer to GET or HEAD: 200 or 304, of a dataset what any file is answered with.

    Raises VideoNotFound when a file is gone.
    """
    if isinstance(bundle, StoredFile):
        return file_response(request, storage, bundle)
    tag = f'"{hashlib.sha256(" ".join(asset.id for asset in bundle.assets.values()).encode()).hexdigest()}"'
    headers = {
        "ETag": f"W/{tag}",  # weak: the files are the same each time, the moment written beside their names is not
        "Accept-Ranges": "none",
        "Content-Disposition": disposition("attachment", bundle.name),
        **IMMUTABLE,
    }
    if is_not_modified(request, tag):
        return Response(status_code=304, headers=headers)
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    for name, asset in bundle.assets.items():
        try:
            archive.add(storage.read(asset.storage_key), name, size=asset.size)
        except FileNotFoundError:
            raise VideoNotFound from None
    headers |= {"Content-Length": str(len(archive)), "Content-Type": "application/zip"}
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(archive, headers=headers)
