"""What both transports share: headers, the envelope, errors, and when to repeat a call. Nothing here waits or sends."""

import contextlib
import time
import uuid
from typing import Any

import httpx

from plinth_client.errors import ApiError, ConnectionFailed, ServerError, error_from_body

MAX_ATTEMPTS = 4
FIRST_RETRY_DELAY_SECONDS = 0.5  # doubles with each further retry
MAX_RETRY_DELAY_SECONDS = 30.0  # unless the server names a longer one
MAX_WAIT_SECONDS = 600.0  # in all, for a server that names the time after which to repeat the call


class Attempts:
    """The attempts of one call: whether to repeat it, and after how many seconds.

    The call is repeated when the connection fails, unless it is a DELETE, and when the server names the seconds after
    which to repeat it, but never before the doubling delay. A call whose body cannot be read again is not `repeatable`.
    """

    def __init__(self, method: str, repeatable: bool) -> None:
        self._method = method
        self._repeatable = repeatable
        self._deadline = time.monotonic() + MAX_WAIT_SECONDS
        self._failures = 0
        self._delay = FIRST_RETRY_DELAY_SECONDS

    def delay_after_failure(self) -> float | None:
        """The seconds after which to repeat a call whose connection failed; None: it is not to be repeated."""
        self._failures += 1
        if not self._repeatable or self._method == "DELETE" or self._failures == MAX_ATTEMPTS:
            return None
        return self._doubled(self._delay)

    def delay_after(self, response: httpx.Response) -> float | None:
        """The seconds after which to repeat the call; None: the response is the result."""
        named = response.headers.get("Retry-After", "")
        if response.is_success or not named.isdecimal() or not self._repeatable:
            return None
        delay = max(self._delay, float(named))
        return None if time.monotonic() + delay > self._deadline else self._doubled(delay)

    def _doubled(self, delay: float) -> float:
        """The delay; the next one is longer."""
        self._delay = min(2 * self._delay, MAX_RETRY_DELAY_SECONDS)
        return delay


def base_url(url: str) -> str:
    """The URL of the API's version; `url` may end in /v1."""
    return url.rstrip("/").removesuffix("/v1") + "/v1/"


def authorization(key: str | None) -> dict[str, str]:
    """The headers of every call."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def headers_of(method: str) -> dict[str, str]:
    """A POST has an Idempotency-Key, which its repetitions keep, so that it has its effect once."""
    return {"Idempotency-Key": f'"{uuid.uuid4()}"'} if method == "POST" else {}


def present(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are not None, as parameters of a query or fields of a body."""
    return {name: value for name, value in values.items() if value is not None}


def body_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON of a response, an object with `data`. Raises ApiError."""
    if not response.is_success:
        raise error_of(response)
    with contextlib.suppress(ValueError):
        body = response.json()
        if isinstance(body, dict) and "data" in body:
            return body
    message = "The response is not JSON of the API: is this the URL of a Plinth farm?"
    raise ServerError("internal", response.status_code, message)


def error_of(response: httpx.Response) -> ApiError:
    """The error for a response whose body has been read."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return error_from_body(response.status_code, body, response.headers.get("X-Request-ID"))


def connection_failed(url: str, error: httpx.TransportError) -> ConnectionFailed:
    """The error for a call without a complete response."""
    return ConnectionFailed(f"{url}: {error or type(error).__name__}")
