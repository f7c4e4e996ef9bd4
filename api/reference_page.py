"""/ with pointers, and /docs: the reference as a page that loads nothing from other hosts and needs no internet."""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse

from farm.errors import NotFound

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent / "swagger_ui"
TYPES = {
    "swagger-ui.css": "text/css",
    "look.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "start.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
PAGE_HEADERS = {
    # Swagger UI has pictures in its style sheet, and shows downloaded ones and videos as blobs.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data: blob:; media-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}
FILE_HEADERS = {"Cache-Control": "public, max-age=3600"}


@router.get("/")
async def get_pointers(request: Request) -> Response:
    """Where the rest is, for those who have only the host's name: a browser is led to the portal."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/portal", 303)
    paths = {"api": "/v1", "portal": "/portal", "guides": "/guides", "docs": "/docs"}
    paths |= {"openapi": "/openapi.json", "health": "/v1/health"}
    return JSONResponse({"data": paths})


@router.get("/docs")
async def get_page() -> FileResponse:
    return FileResponse(FOLDER / "index.html", media_type="text/html", headers=PAGE_HEADERS)


@router.get("/docs/{name}")
async def get_file(name: str) -> FileResponse:
    """A file that the page loads. Raises NotFound."""
    if name not in TYPES:
        raise NotFound
    return FileResponse(FOLDER / name, media_type=TYPES[name], headers=FILE_HEADERS)
