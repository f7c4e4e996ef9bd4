"""All files of a finished render as one zip, made while it is sent: stored, so that its size is known beforehand."""

import hashlib
from pathlib import PurePath

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session
from zipstream import ZIP_STORED, ZipStream

from api.assets.service import client_has, disposition, stem
from farm.db import renders
from farm.db.tables import Account
from farm.errors import VideoNotFound
from farm.storage import Storage

# What the files are called inside, before their endings; the small poster stays out.
NAMES = {"video": "video", "web": "web", "poster-full": "poster", "thumb": "thumb"}


def bundle(request: Request, db: Session, storage: Storage, account: Account, render_id: str) -> Response:
    """The answer to GET or HEAD: 200 or 304. Raises RenderNotFound, or VideoNotFound until the render is done."""
    render = renders.owned(db, account.id, render_id)
    if render.status != "done":
        raise VideoNotFound
    by_kind = {asset.kind: asset for asset in render.assets}
    assets = [by_kind[kind] for kind in NAMES if kind in by_kind]
    tag = f'"{hashlib.sha256(" ".join(asset.id for asset in assets).encode()).hexdigest()}"'
    headers = {
        "ETag": f"W/{tag}",  # weak: the files are the same each time, the moment written beside their names is not
        "Cache-Control": "private, max-age=31536000, immutable",
        "Accept-Ranges": "none",
        **disposition("attachment", f"{stem(render)}.zip"),
    }
    if client_has(request, tag):
        return Response(status_code=304, headers=headers)
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    for asset in assets:
        name = NAMES[asset.kind] + PurePath(asset.storage_key).suffix
        try:
            archive.add(storage.read(asset.storage_key), name, size=asset.size)
        except FileNotFoundError:
            raise VideoNotFound from None
    headers |= {"Content-Length": str(len(archive)), "Content-Type": "application/zip"}
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(archive, headers=headers)
