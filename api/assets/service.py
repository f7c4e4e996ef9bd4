"""Hands out stored files: whole or in part, with everything that players and download tools expect."""

from dataclasses import dataclass, field

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from api.assets import ranges
from farm.db import renders
from farm.db.tables import Account
from farm.errors import NotFound
from farm.storage import Storage


@dataclass(frozen=True)
class StoredFile:
    """A file that never changes under its `tag`, and the error for when it is not there."""

    key: str
    size: int
    content_type: str
    tag: str
    missing: type[NotFound]
    headers: dict[str, str] = field(default_factory=dict)


def asset(db: Session, account: Account, render_id: str, kind: str, missing: type[NotFound]) -> StoredFile:
    """One finished file of a render. Raises RenderNotFound, or `missing` while the render has none of this kind."""
    found = {asset.kind: asset for asset in renders.owned(db, account.id, render_id).assets}.get(kind)
    if found is None:
        raise missing
    return StoredFile(found.storage_key, found.size, found.content_type, f'"{found.id}"', missing)


def deliver(request: Request, storage: Storage, file: StoredFile) -> Response:
    """The answer to GET or HEAD: 200, 206 or 304. Raises RangeNotSatisfiable, or `file.missing`."""
    headers = {"ETag": file.tag, "Accept-Ranges": "bytes", **file.headers}
    if {file.tag, "*"} & _tags(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    part = None
    if request.method == "GET" and request.headers.get("if-range", file.tag) == file.tag:
        part = ranges.parse(request.headers.get("range"), file.size)
    start, length = part or ranges.Part(0, file.size)
    headers |= {"Content-Length": str(length), "Content-Type": file.content_type}
    if request.method == "HEAD":
        return Response(headers=headers)
    if part:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{file.size}"
    try:
        blocks = storage.read(file.key, start, length)
    except FileNotFoundError:
        raise file.missing from None
    return StreamingResponse(blocks, 206 if part else 200, headers)


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
