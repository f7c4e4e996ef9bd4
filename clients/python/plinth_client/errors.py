"""The hierarchy of errors.

PlinthError               code, status, message
+- ApiError               the server refused the request; code and status are those of the API reference
|  +- InvalidRequest      400, 405, 408, 409, 413, 416, 422: the request must be changed
|  +- Unauthorized        401: the key is missing, wrong, revoked or expired
|  +- NoCredits           402
|  +- Forbidden           403: the account is suspended, or the key lacks a scope
|  +- NotFound            404: no such object, or a file that does not exist yet
|  +- UploadLimit         429 upload_limit
|  +- RateLimited         429 rate_limited, still after ten minutes
|  +- ServerError         5xx, 408 request_timeout, 409 idempotency_in_flight: a later attempt may succeed
+- ConnectionFailed       no response, or an incomplete one; status 0
+- RenderFailed           the render ended as an error; status 0
+- WaitTimeout            the render was not done in time; status 0
"""

from plinth_client.responses import Render


class PlinthError(Exception):
    """Base of all errors. `code` is for programs, `message` for people; `status` is HTTP's, 0 without a response."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message


class ApiError(PlinthError):
    """The server refused the request. `request_id` identifies it in the server's log."""

    def __init__(self, code: str, status: int, message: str, request_id: str | None = None) -> None:
        super().__init__(code, status, message)
        self.request_id = request_id


class InvalidRequest(ApiError):
    """The request must be changed."""


class Unauthorized(ApiError):
    """The key is missing, wrong, revoked or expired."""


class NoCredits(ApiError):
    """The account has too few credits."""


class Forbidden(ApiError):
    """The account is suspended, or the key lacks a scope."""


class NotFound(ApiError):
    """No such object, or a file that does not exist yet."""


class UploadLimit(ApiError):
    """The account has reached its upload limit."""


class RateLimited(ApiError):
    """Too many writes in a short time."""


class ServerError(ApiError):
    """The server could not process the request now: a later attempt may succeed."""


class ConnectionFailed(PlinthError):
    """No response, or an incomplete one."""

    def __init__(self, message: str) -> None:
        super().__init__("connection_failed", 0, message)


class RenderFailed(PlinthError):
    """The render ended as an error; the message is the server's."""

    def __init__(self, render: Render) -> None:
        super().__init__("render_failed", 0, render.error_message or f"Render {render.id} failed")
        self.render = render


class WaitTimeout(PlinthError):
    """The render was not done in time. It is still in progress: wait again, or delete it."""

    def __init__(self, render: Render, seconds: float) -> None:
        super().__init__("wait_timeout", 0, f"Render {render.id} was still {render.status} after {seconds:g} s")
        self.render = render


STATUS_ERRORS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    402: NoCredits,
    403: Forbidden,
    404: NotFound,
    429: UploadLimit,
}
CODE_ERRORS: dict[str, type[ApiError]] = {
    "rate_limited": RateLimited,
    "request_timeout": ServerError,
    "idempotency_in_flight": ServerError,
}


def error_from_body(status: int, body: object, request_id: str | None) -> ApiError:
    """The error for a response with this status and JSON body."""
    kind = STATUS_ERRORS.get(status, ServerError if status >= 500 else InvalidRequest)
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):  # a proxy or gateway sent the response
        return kind("internal", status, f"The server responded with status {status} and no error message", request_id)
    code = str(error.get("code"))
    kind = CODE_ERRORS.get(code, kind)
    return kind(code, status, str(error.get("message")), request_id)
