"""Paths of pages with a slash at their end, as people type them: they lead to the page, whose path has none."""

from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

router = APIRouter(include_in_schema=False)

PAGES = ("docs", "guides", "operator", "portal")


async def lead(request: Request) -> Response:
    # The framework's patterns let a line break pass at the end of a path.
    url = quote(request.scope["path"].rstrip("/\n"))
    return RedirectResponse(f"{url}?{request.url.query}" if request.url.query else url, 307)


for page in PAGES:
    router.add_api_route(f"/{page}/", lead, methods=["GET"])
    router.add_api_route(f"/{page}/{{path:path}}/", lead, methods=["GET"])
