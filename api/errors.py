"""Conversion of exceptions to {error: {code, message, status}}, and their documentation in OpenAPI."""

import errno
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from psycopg.errors import UndefinedColumn, UndefinedTable
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.access_log import route_of
from api.envelope import Error, ErrorDetail
from api.rate_limits import WriteLimit
from api.validation_messages import complaint, fields_at
from api.validation_messages import path as format_path
from farm.errors import (
    BodyTooLarge,
    FarmError,
    Forbidden,
    IdempotencyInFlight,
    InsufficientScope,
    InvalidRequest,
    InvalidSettings,
    MethodNotAllowed,
    ModelIdRequired,
    NotFound,
    RangeNotSatisfiable,
    RateLimited,
    RendersRequired,
    RequestTimeout,
    Sha256Required,
    TokenExpired,
    TooMany,
    TooManyAtOnce,
    Unauthorized,
    Unavailable,
    UrlRequired,
    WrongVersion,
    is_disk_full,
)

log = structlog.get_logger()

MAX_MESSAGE_LENGTH = 1000

# Body fields with an error code of their own in the API contract, for when they are missing or wrong.
FIELD_ERRORS: dict[str, type[FarmError]] = {
    "modelId": ModelIdRequired,
    "renders": RendersRequired,
    "url": UrlRequired,
    "sha256": Sha256Required,
    **dict.fromkeys(["quality", "output", "effect", "datasetQuality", "views", "size", "cameras"], InvalidSettings),
}
RETRIED = (RateLimited, IdempotencyInFlight)
RETRY_AFTER = {
    "description": "Seconds after which the request may be repeated",
    "schema": {"type": "integer", "minimum": 0},
    "example": 3,
}
STATUS_ERRORS: dict[int, type[FarmError]] = {
    404: NotFound,
    405: MethodNotAllowed,
    408: RequestTimeout,
    413: BodyTooLarge,
}


def handle_error(request: Request, error: Exception) -> JSONResponse:
    """Handler of every expected exception: FarmError, validation, framework, database and disk errors."""
    response = error_response(to_farm_error(request, error))
    write_limit = getattr(request.state, "write_limit", None)
    if write_limit and not isinstance(error, TooManyAtOnce):  # which is no limit of a minute
        response.headers.update(write_limit.headers)
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    if response.status_code == MethodNotAllowed.status and (template := route_of(request.scope)):
        # The framework lists the methods of one route only.
        response.headers["Allow"] = ", ".join(request.app.state.methods[template])
    return response


def error_response(error: FarmError) -> JSONResponse:
    """The canonical response for an error."""
    # A message may quote client input: lone surrogates cannot be encoded, and long texts are useless.
    message = error.message[:MAX_MESSAGE_LENGTH].encode("utf-8", "backslashreplace").decode()
    body = Error(error=ErrorDetail(code=error.code, message=message, status=error.status))
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.size}"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, RateLimited) and not isinstance(error, TooManyAtOnce):
        headers |= WriteLimit(error.limit, 0, error.retry_after or 0).headers
    return JSONResponse(body.model_dump(), error.status, headers)


def errors(*kinds: type[FarmError], public: bool = False) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` of an endpoint that raises these errors; unless `public`, it requires a key and has input."""
    common: list[type[FarmError]] = [FarmError, Unavailable]
    if not public:
        common += [InvalidRequest, Unauthorized, TokenExpired, Forbidden, InsufficientScope, RequestTimeout]
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in dict.fromkeys([*kinds, *common]):
        add_error(responses, kind)
    return dict(sorted(responses.items(), key=lambda item: str(item[0])))


def add_error(responses: dict[int | str, dict[str, Any]], kind: type[FarmError]) -> None:
    """Add an error to the OpenAPI `responses` of an endpoint."""
    entry = responses.setdefault(
        kind.status,
        {"model": Error, "description": "", "content": {"application/json": {"examples": {}}}},
    )
    entry["description"] = " or ".join(filter(None, [entry["description"], f"`{kind.code}`"]))
    example = {"error": {"code": kind.code, "message": kind.default, "status": kind.status}}
    entry["content"]["application/json"]["examples"][kind.code] = {"value": example}
    if kind in RETRIED:
        entry.setdefault("headers", {})["Retry-After"] = RETRY_AFTER


def to_farm_error(request: Request, error: Exception) -> FarmError:
    match error:
        case FarmError():
            return error
        case RequestValidationError():
            return _from_validation(request, error.errors()[0])
        case HTTPException() if error.status_code in STATUS_ERRORS:
            return STATUS_ERRORS[error.status_code]()
        case HTTPException():
            return InvalidRequest(str(error.detail))
        case OperationalError():
            log.warning("database_failed", error=str(error.orig))
            return Unavailable("The farm's database is unavailable: try again shortly")
        case ProgrammingError() if isinstance(error.orig, (UndefinedTable, UndefinedColumn)):
            log.warning("database_failed", error=str(error.orig))  # the tables were changed a moment ago
            return WrongVersion()
        case PoolTimeout():
            log.warning("database_busy", error=str(error))
            return Unavailable("All connections to the farm's database are busy: try again shortly")
        case OSError() if is_disk_full(error):
            log.warning("disk_full", error=str(error))
            return Unavailable("A disk of the farm is full: try again later")
        case OSError() if error.errno in (errno.EMFILE, errno.ENFILE):
            log.warning("files_used_up", error=str(error))
            return Unavailable("The API has too many open files: try again shortly")
    raise error


def _from_validation(request: Request, problem: dict[str, Any]) -> FarmError:
    location, *path = problem["loc"]
    if problem["type"] == "json_invalid":
        return InvalidRequest(f"The body is not valid JSON: {problem['ctx']['error']}")
    if problem["type"] == InvalidSettings.code:
        within = path[:-1] if path[-1] == "renderSettings" else path
        return InvalidSettings(".".join(filter(None, [format_path(within), problem["msg"]])))  # it names the field
    if location == "body" and path and path[-1] in FIELD_ERRORS and problem["type"] != "extra_forbidden":
        return _about_field(FIELD_ERRORS[path[-1]], path, problem)
    if location == "body" and not path and isinstance(problem["input"], bytes):  # the framework reads JSON alone
        return InvalidRequest("The body must be a JSON object, with the header Content-Type: application/json")
    if location == "query" and len(path) == 2:  # one of the values of a list
        return InvalidRequest(f"{path[0]} {complaint(problem)}, not {str(problem['input'])[:100]!a}")
    if location == "body" and problem["type"] == "extra_forbidden":
        known = ", ".join(fields_at(request.scope["route"].body_field.field_info.annotation, path[:-1]))
        return InvalidRequest(f"{format_path(path)[:100]} {complaint(problem)}. Known fields: {known}")
    what = format_path(path) or ("The body" if location == "body" else location)
    return InvalidRequest(f"{what[:100]} {complaint(problem)}")


def _about_field(kind: type[FarmError], path: list[str | int], problem: dict[str, Any]) -> FarmError:
    if kind is InvalidSettings:
        return InvalidSettings(f"{format_path(path)} {complaint(problem)}")
    if kind is RendersRequired and problem["type"] == "too_long":
        return TooMany()
    return kind() if len(path) == 1 else kind(f"{format_path(path[:-1])}: {kind.default}")
