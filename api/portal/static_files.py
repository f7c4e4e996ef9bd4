"""Style sheets, scripts and the typeface of the pages. URLs have a digest of all of them, so none ever changes."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from farm.errors import NotFound

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
}
COMPRESSED = {".css", ".js", ".wasm", ".svg"}
MAX_AGE_SECONDS = 31_536_000
NEVER_CHANGES = {"Cache-Control": f"public, max-age={MAX_AGE_SECONDS}, immutable"}
DIGEST_LENGTH = 12


@dataclass(frozen=True)
class StaticFile:
    """A file's content as it is, and compressed."""

    media_type: str
    content: bytes
    compressed: bytes | None

    def response(self, request: Request, headers: Mapping[str, str]) -> Response:
        """The file, compressed for a browser that takes that."""
        headers = {**headers, "Vary": "Accept-Encoding"}
        if self.compressed and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.compressed, 200, headers | {"Content-Encoding": "gzip"}, self.media_type)
        return Response(self.content, 200, headers, self.media_type)


@cache
def files() -> dict[str, StaticFile]:
    """The files by their names."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if media_type := TYPES.get(path.suffix):
            content = path.read_bytes()
            packed = gzip.compress(content, mtime=0) if path.suffix in COMPRESSED else None
            found[path.name] = StaticFile(media_type, content, packed)
    return found


@cache
def version() -> str:
    contents = [name.encode() + hashlib.sha256(file.content).digest() for name, file in files().items()]
    return hashlib.sha256(b"".join(contents)).hexdigest()[:DIGEST_LENGTH]


def url(name: str) -> str:
    """The path of a file, for pages. In a style sheet, the name alone suffices."""
    return f"/portal/static/{version()}/{name}"


@router.get("/static/{digest}/{name}")
async def get_static_file(request: Request, digest: str, name: str) -> Response:
    """A file that pages load. Raises NotFound, also for an earlier version of it."""
    file = files().get(name)
    if file is None or digest != version():
        raise NotFound
    return file.response(request, NEVER_CHANGES)
