"""Renders the portal's pages from templates, and sets the headers that they need."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

from api.auth import Download
from api.dependencies import farm_of
from api.portal import labels, static_files
from farm.db.clock import ago
from farm.errors import FarmError, NotFound

TEMPLATES = Path(__file__).parent / "templates"
OPERATOR_TEMPLATES = Path(__file__).parents[1] / "operator" / "templates"  # named operator/...
MAX_MESSAGE_LENGTH = 1000
# No inline script or style. Files may come from S3 instead of the farm.
POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self'{styles}; font-src 'self';"
    " connect-src 'self'{files};{workers} img-src 'self' data:{files}; media-src 'self'{files};"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# model-viewer compiles a decoder and runs it in a worker from a blob; it has one style sheet of its own, and reads a
# model's pictures as blobs.
VIEWER_SCRIPTS = " 'wasm-unsafe-eval'"
VIEWER_STYLES = " 'sha256-PXtZZkJMMyc18o/DN1ZEFOJ2qEGq95IQbVaJFMOXOb0='"  # of version 4.4.0
VIEWER_WORKERS = " worker-src blob:;"
BLOBS = " blob:"


def page(
    request: Request,
    template: str,
    /,
    *,
    status: int = 200,
    has_viewer: bool = False,
    has_blobs: bool = False,
    **values: Any,
) -> Response:
    """A page, or a part of one, from a template; `guest` and `path` are always among its values.

    `has_viewer`: whether it shows a model in 3D; `has_blobs`: whether it shows files before they are uploaded.
    """
    guest = getattr(request.state, "guest", None)
    response = HTMLResponse(html(template, guest=guest, path=request.url.path, **values), status)
    response.headers["Cache-Control"] = "no-store"
    endpoint = farm_of(request).settings.s3_public_endpoint
    response.headers["Content-Security-Policy"] = POLICY.format(
        scripts=VIEWER_SCRIPTS if has_viewer else "",
        styles=VIEWER_STYLES if has_viewer else "",
        workers=VIEWER_WORKERS if has_viewer else "",
        files=(f" {endpoint}" if endpoint else "") + (BLOBS if has_viewer or has_blobs else ""),
    )
    return response


def html(template: str, **values: Any) -> str:
    """The text of a page; `guest` and `path` must be among its values."""
    return _environment().get_template(template).render(**values)


def private(response: Response, account_id: str) -> Response:
    """A response with a stored file, for pages of this host only; while it is sent, it counts for the account."""
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"  # unlike in the API, where a key is sent
    response.headers.setdefault("Cache-Control", "private, no-cache")  # asked for again by its ETag
    return Download(response, account_id) if isinstance(response, StreamingResponse) else response


def error_page(request: Request, error: FarmError) -> Response:
    """The page about an error; only its text for a script."""
    message = error.message[:MAX_MESSAGE_LENGTH].encode("utf-8", "backslashreplace").decode()
    is_part = "hx-request" in request.headers or "x-form-token" in request.headers
    title = "There is no such page" if isinstance(error, NotFound) else "That did not work"
    template = "error_part.html" if is_part else "error.html"
    response = page(request, template, status=error.status, title=title, message=message)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader(
            [FileSystemLoader(TEMPLATES), PrefixLoader({"operator": FileSystemLoader(OPERATOR_TEMPLATES)})]
        ),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"static": static_files.url, "labels": labels}
    environment.filters |= {"size": size, "day": day, "moment": moment, "number": number, "ago": ago}
    return environment


def storable(text: str) -> str:
    """A text from a query, without what databases refuse."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


def offset(text: str, most: int) -> int:
    """The offset of a list in a query; 0 for what is none."""
    return min(int(text), most) if text.isdecimal() and len(text) < 10 else 0


def size(number_of_bytes: int) -> str:
    """A size as people read it, in decimal units."""
    amount = float(number_of_bytes)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def number(value: int) -> str:
    """A number with thin spaces between groups of three digits."""
    return f"{value:,}".replace(",", "\u202f")


def day(time: datetime) -> str:
    return f"{time.astimezone(UTC):%-d %b %Y}"


def moment(time: datetime) -> str:
    """ISO 8601, for the attribute of a <time>; the script shows it in the browser's time zone."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
