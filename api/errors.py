"""The one place where an exception becomes {error: {code, message, status}}, and where OpenAPI learns of it."""

from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.envelope import Error, ErrorDetail
from farm.errors import (
    BodyTooLarge,
    FarmError,
    Forbidden,
    InsufficientScope,
    InvalidRequest,
    InvalidSettings,
    MethodNotAllowed,
    ModelIdRequired,
    NotFound,
    RangeNotSatisfiable,
    RendersRequired,
    Sha256Required,
    TokenExpired,
    TooMany,
    Unauthorized,
    Unavailable,
    UrlRequired,
    is_disk_full,
)

log = structlog.get_logger()

MAX_MESSAGE_LENGTH = 1000

# Body fields that the contract gives a code of their own when they are missing or wrong.
FIELD_ERRORS: dict[str, type[FarmError]] = {
    "modelId": ModelIdRequired,
    "renders": RendersRequired,
    "url": UrlRequired,
    "sha256": Sha256Required,
    **dict.fromkeys(["quality", "output", "effect", "datasetQuality"], InvalidSettings),
}
STATUS_ERRORS: dict[int, type[FarmError]] = {404: NotFound, 405: MethodNotAllowed, 413: BodyTooLarge}


def handle_error(request: Request, error: Exception) -> JSONResponse:
    """The handler of every expected exception: ours, the validation's, the framework's, and those of a farm in need."""
    response = error_response(_to_farm_error(error))
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    if response.status_code == MethodNotAllowed.status and (route := request.scope.get("route")):
        # The framework names those of one route alone.
        response.headers["Allow"] = ", ".join(request.app.state.methods[route.path])
    return response


def error_response(error: FarmError) -> JSONResponse:
    """The canonical answer to an error."""
    # A message may quote what a client sent: lone surrogates cannot be encoded, and a megabyte helps nobody.
    message = error.message[:MAX_MESSAGE_LENGTH].encode("utf-8", "backslashreplace").decode()
    body = Error(error=ErrorDetail(code=error.code, message=message, status=error.status))
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.size}"
    return JSONResponse(body.model_dump(), error.status, headers)


def errors(*kinds: type[FarmError], public: bool = False) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for an endpoint that raises these; unless `public`, it wants a key, and input."""
    everywhere: list[type[FarmError]] = [FarmError, Unavailable]
    if not public:
        everywhere += [InvalidRequest, Unauthorized, TokenExpired, Forbidden, InsufficientScope]
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in dict.fromkeys([*kinds, *everywhere]):
        entry = responses.setdefault(
            kind.status,
            {"model": Error, "description": "", "content": {"application/json": {"examples": {}}}},
        )
        entry["description"] = " or ".join(filter(None, [entry["description"], f"`{kind.code}`"]))
        example = {"error": {"code": kind.code, "message": kind.default, "status": kind.status}}
        entry["content"]["application/json"]["examples"][kind.code] = {"value": example}
    return dict(sorted(responses.items(), key=lambda item: str(item[0])))


def _to_farm_error(error: Exception) -> FarmError:
    match error:
        case FarmError():
            return error
        case RequestValidationError():
            return _from_validation(error.errors()[0])
        case HTTPException() if error.status_code in STATUS_ERRORS:
            return STATUS_ERRORS[error.status_code]()
        case HTTPException():
            return InvalidRequest(str(error.detail))
        case OperationalError():
            log.warning("the database fails", error=str(error.orig))
            return Unavailable("The farm's database does not do its work: try again in a moment")
        case OSError() if is_disk_full(error):
            log.warning("a disk is full", error=str(error))
            return Unavailable("A disk of the farm is full: try again later")
    raise error


def _from_validation(problem: dict[str, Any]) -> FarmError:
    place, *path = problem["loc"]
    if problem["type"] == "json_invalid":
        return InvalidRequest(f"The body is not valid JSON: {problem['ctx']['error']}")
    if problem["type"] == InvalidSettings.code:
        return InvalidSettings(_format_path([*path[:-1], problem["msg"]]))  # the message names the field from there on
    if place == "body" and path and path[-1] in FIELD_ERRORS and problem["type"] != "extra_forbidden":
        return _about_field(FIELD_ERRORS[path[-1]], path, problem)
    return InvalidRequest(f"{(_format_path(path) or place)[:100]}: {problem['msg']}")


def _about_field(kind: type[FarmError], path: list[str | int], problem: dict[str, Any]) -> FarmError:
    if kind is InvalidSettings:
        return InvalidSettings(f"{_format_path(path)}: {problem['msg']}")
    if kind is RendersRequired and problem["type"] == "too_long":
        return TooMany()
    return kind() if len(path) == 1 else kind(f"{_format_path(path[:-1])}: {kind.default}")


def _format_path(path: list[str | int]) -> str:
    """A place in a body as people write it: renders[3].modelId."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
