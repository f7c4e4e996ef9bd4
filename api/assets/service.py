"""Responses with stored files: ranges, ETags, names and redirects, as players and download tools expect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from sqlalchemy.orm import Session

from api.assets import ranges
from farm.db import renders
from farm.db.tables import Account, Render
from farm.errors import NotFound
from farm.orders.render_settings import parse
from farm.storage import Storage
from farm.tiers import TIERS

# Appended to the name of a render's files, by kind of asset.
NAME_SUFFIXES = {"video": "", "web": "-web", "poster": "-poster-small", "poster-full": "-poster", "thumb": "-thumb"}
NAME_SUFFIXES["thumb-still"] = NAME_SUFFIXES["thumb"]  # they differ in .mp4 and .jpg


VIDEOS = ("video", "web", "thumb")
IMMUTABLE = {
    "Cache-Control": "private, max-age=31536000, immutable"
}  # of a bundle: a render that is done stays as it is
EMBEDDABLE = {"Cross-Origin-Resource-Policy": "cross-origin"}  # in pages of other hosts that can send the key


@dataclass(frozen=True)
class StoredFile:
    """A file whose content never changes under its ETag `tag`. `missing` is raised when the file is not in storage.

    `headers` are added to those of every file.
    """

    key: str
    size: int
    content_type: str
    tag: str
    missing: type[NotFound]
    disposition: str
    headers: Mapping[str, str] = field(default_factory=dict)


def asset(db: Session, account: Account, render_id: str, kind: str, missing: type[NotFound]) -> StoredFile:
    """One finished file of a render. Raises RenderNotFound, or `missing` while there is no file of this kind."""
    render = renders.owned(db, account.id, render_id)
    found = {asset.kind: asset for asset in render.assets}.get(kind)
    if found is None:
        raise missing(why_missing(render, kind))
    name = f"{stem(render)}{NAME_SUFFIXES[kind]}{PurePath(found.storage_key).suffix}"
    return StoredFile(
        found.storage_key, found.size, found.content_type, f'"{found.id}"', missing, disposition("inline", name)
    )


def why_missing(render: Render, kind: str) -> str | None:
    """Why the render has no file of this kind, and never will; None if it may have one later."""
    request = parse(render.settings)
    if request.is_dataset and kind in VIDEOS:
        return "This render is a dataset, which has no video: download its bundle"
    if kind == "web" and (render.is_system_preview or not TIERS[request.quality].has_web):
        tier = "a system preview" if render.is_system_preview else f"quality {request.quality}"
        return f"There is no web variant of {tier}: download the video without ?quality=web"
    if render.status in ("error", "failed"):
        return f"This render failed and has no such file: {render.error_message}"
    return None


def stem(render: Render) -> str:
    """The name of a render's files without suffix: that of the model's file, and what tells the model's renders apart.

    The id ends it, as two renders may differ in any setting.
    """
    request = parse(render.settings)
    kind = f"{request.quality}-{request.aspect.replace(':', 'x')}"
    if request.is_dataset:
        size = request.dataset_size
        kind = f"{size.views}x{size.side}-{'cameras' if request.cameras else request.coverage}"
    return f"{PurePath(render.model.original_name).stem}-{request.effect}-{kind}-{render.id}"


def disposition(kind: Literal["attachment", "inline"], name: str) -> str:
    """A Content-Disposition (RFC 6266): the name in ASCII for old clients, and in UTF-8 for all others."""
    plain = "".join(letter if letter.isascii() and letter not in '"\\' else "_" for letter in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def file_response(request: Request, storage: Storage, file: StoredFile) -> Response:
    """The response to GET or HEAD: 200, 206, 302 or 304. Raises RangeNotSatisfiable, or `file.missing`."""
    try:
        link = storage.link(file.key, file.content_type, file.disposition)
        tag = link.tag if link else file.tag
        headers = {"ETag": tag, "Accept-Ranges": "bytes", "Content-Disposition": file.disposition, **file.headers}
        headers |= EMBEDDABLE
        if is_not_modified(request, tag):
            return Response(status_code=304, headers=headers)
        part = None
        if request.method == "GET" and request.headers.get("if-range", tag) == tag:
            part = ranges.parse(request.headers.get("range"), file.size)
        if link and request.method == "GET":
            return RedirectResponse(link.url, 302, {"Cache-Control": "no-store"})  # links expire
        start, length = part or ranges.Part(0, file.size)
        headers |= {"Content-Length": str(length), "Content-Type": file.content_type}
        if part:
            headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{file.size}"
        blocks = storage.read(file.key, start, 0 if request.method == "HEAD" else length)
    except FileNotFoundError:
        raise file.missing from None
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(blocks, 206 if part else 200, headers)


def is_not_modified(request: Request, tag: str) -> bool:
    """Whether If-None-Match names the current version."""
    tags = request.headers.get("if-none-match", "").split(",")
    return bool({tag, "*"} & {tag.strip().removeprefix("W/") for tag in tags})
