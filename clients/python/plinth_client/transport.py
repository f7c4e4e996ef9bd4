"""HTTP calls of the API: authentication, the envelope, errors, and repetition of calls."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx

from plinth_client.errors import ConnectionFailed, ServerError, error_from_body

MAX_ATTEMPTS = 4
FIRST_RETRY_DELAY_SECONDS = 0.5  # doubles with each further retry
MAX_RETRY_DELAY_SECONDS = 30.0  # unless the server names a longer one
MAX_WAIT_SECONDS = 600.0  # in all, for a server that names the time after which to repeat the call


class Transport:
    """HTTP with the account's key. `url` may end in /v1."""

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        base = url.rstrip("/").removesuffix("/v1") + "/v1/"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=base, headers=headers, timeout=timeout, follow_redirects=True)

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, path: str, *, repeatable: bool = True, **request: Any) -> Any:
        """The JSON of the response. Raises ApiError or ConnectionFailed.

        The call is repeated when the connection fails, unless it is a DELETE, and when the server names the seconds
        after which to repeat it, but never before the doubling delay. A POST keeps its Idempotency-Key, so that it has
        its effect once. A call whose body cannot be read again is not `repeatable`.
        """
        headers = {"Idempotency-Key": f'"{uuid.uuid4()}"'} if method == "POST" else {}
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        failures, delay = 0, FIRST_RETRY_DELAY_SECONDS
        while True:
            wait = delay
            try:
                response = self._http.request(method, path, headers=headers, **request)
                named = _seconds_to_wait(response)
                wait = max(delay, named or 0)
                if named is None or not repeatable or time.monotonic() + wait > deadline:
                    return _body(response)
            except httpx.TransportError as error:
                failures += 1
                if not repeatable or method == "DELETE" or failures == MAX_ATTEMPTS:
                    raise ConnectionFailed(f"{self._http.base_url}{path}: {error or type(error).__name__}") from error
            time.sleep(wait)
            delay = min(2 * delay, MAX_RETRY_DELAY_SECONDS)

    def get(self, path: str, **parameters: Any) -> Any:
        """GET; parameters that are None are omitted."""
        present = {name: value for name, value in parameters.items() if value is not None}
        return self.request("GET", path, params=present)

    @contextlib.contextmanager
    def stream(self, path: str, parameters: dict[str, str], headers: dict[str, str]) -> Iterator[httpx.Response]:
        """GET a file, with any status and an unread body. Raises ConnectionFailed, also in the block."""
        try:
            with self._http.stream("GET", path, params=parameters, headers=headers) as response:
                yield response
        except httpx.TransportError as error:
            raise ConnectionFailed(f"{self._http.base_url}{path}: {error or type(error).__name__}") from error


def error_from_response(response: httpx.Response) -> Exception:
    """The error for a response whose body has been read."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return error_from_body(response.status_code, body, response.headers.get("X-Request-ID"))


def _seconds_to_wait(response: httpx.Response) -> float | None:
    """The seconds after which the server accepts the same call; None if it did not say."""
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if not response.is_success and seconds.isdecimal() else None


def _body(response: httpx.Response) -> Any:
    if not response.is_success:
        raise error_from_response(response)
    try:
        return response.json()
    except ValueError as error:
        raise ServerError(
            "internal", response.status_code, "The response is not JSON: is this the URL of a Plinth farm?"
        ) from error
