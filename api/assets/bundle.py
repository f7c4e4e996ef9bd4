"""All files of a finished render as one zip: stored as such for a dataset, streamed for a video."""

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session
from zipstream import ZIP_STORED, ZipStream

from api.assets.service import IMMUTABLE, StoredFile, disposition, file_response, is_not_modified, stem, why_missing
from farm.db import renders
from farm.db.tables import Account, Asset
from farm.errors import VideoNotFound
from farm.storage import Storage

# Names of the files in the zip by kind of asset, without suffix; the small poster is left out.
MODE = stat.S_IFREG | 0o644
NAMES = {"video": "video", "web": "web", "poster-full": "poster", "thumb": "thumb"}


class Archive(ZipStream):  # type: ignore[misc] # has no types
    """A zip whose files everyone may read once they are unpacked: the library's are for their owner only."""

    def _gen_file_entry(self, **entry: Any) -> Iterator[bytes]:
        yield from super()._gen_file_entry(**entry)
        self._filelist[-1].external_attr = MODE << 16  # written at the end of the zip


@dataclass(frozen=True)
class Bundle:
    """The name of a render's zip, and its assets by their names in it."""

    name: str
    assets: dict[str, Asset]


def bundle(db: Session, account: Account, render_id: str) -> Bundle | StoredFile:
    """The contents of a video's zip, or the stored zip of a dataset.

    Raises RenderNotFound, or VideoNotFound until the render is done.
    """
    render = renders.owned(db, account.id, render_id)
    if render.status != "done":
        raise VideoNotFound(why_missing(render, "bundle") or f"There is no bundle yet: this render is {render.status}")
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
    """The response to GET or HEAD: 200 or 304; for a dataset, that of any stored file.

    Raises VideoNotFound when a file is missing.
    """
    if isinstance(bundle, StoredFile):
        return file_response(request, storage, bundle)
    tag = f'"{hashlib.sha256(" ".join(asset.id for asset in bundle.assets.values()).encode()).hexdigest()}"'
    headers = {
        "ETag": f"W/{tag}",  # weak: the zip's own timestamps differ between downloads
        "Accept-Ranges": "none",
        "Content-Disposition": disposition("attachment", bundle.name),
        **IMMUTABLE,
    }
    if is_not_modified(request, tag):
        return Response(status_code=304, headers=headers)
    archive = Archive(compress_type=ZIP_STORED, sized=True)
    for name, asset in bundle.assets.items():
        try:
            archive.add(storage.read(asset.storage_key), name, size=asset.size)
        except FileNotFoundError:
            raise VideoNotFound from None
    headers |= {"Content-Length": str(len(archive)), "Content-Type": "application/zip"}
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(archive, headers=headers)
