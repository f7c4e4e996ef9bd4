"""HTTP calls of the API: authentication, the envelope, errors, and retries of idempotent calls."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import httpx

from plinth_client.errors import ConnectionFailed, ServerError, error_from_body

MAX_ATTEMPTS = 4
FIRST_RETRY_DELAY_SECONDS = 0.5  # doubles with each further retry


class Transport:
    """HTTP with the account's key. `url` may end in /v1."""

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        base = url.rstrip("/").removesuffix("/v1") + "/v1/"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=base, headers=headers, timeout=timeout, follow_redirects=True)

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, path: str, *, idempotent: bool, **request: Any) -> Any:
        """The JSON of the response. An `idempotent` call is retried when the connection fails.

        Raises ApiError or ConnectionFailed.
        """
        for attempt in range(MAX_ATTEMPTS):
            try:
                return _body(self._http.request(method, path, **request))
            except httpx.TransportError as error:
                if not idempotent or attempt == MAX_ATTEMPTS - 1:
                    raise ConnectionFailed(f"{self._http.base_url}{path}: {error or type(error).__name__}") from error
            time.sleep(FIRST_RETRY_DELAY_SECONDS * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def get(self, path: str, **parameters: Any) -> Any:
        """GET; parameters that are None are omitted."""
        present = {name: value for name, value in parameters.items() if value is not None}
        return self.request("GET", path, idempotent=True, params=present)

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


def _body(response: httpx.Response) -> Any:
    if not response.is_success:
        raise error_from_response(response)
    try:
        return response.json()
    except ValueError as error:
        raise ServerError(
            "internal", response.status_code, "The response is not JSON: is this the URL of a Plinth farm?"
        ) from error
