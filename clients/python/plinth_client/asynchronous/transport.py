"""HTTP calls of the API: sends them, repeats them, and returns their JSON."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import httpx

from plinth_client.calls import Attempts, authorization, base_url, body_of, connection_failed, headers_of, present
from plinth_client.paging import Identified, page
from plinth_client.responses import Page

T = TypeVar("T", bound=Identified)


class AsyncTransport:
    """HTTP with the account's key. `url` may end in /v1."""

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        self._base = base_url(url)
        self._http = httpx.AsyncClient(
            base_url=self._base, headers=authorization(key), timeout=timeout, follow_redirects=True
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def request(self, method: str, path: str, *, repeatable: bool = True, **request: Any) -> Any:
        """The `data` of the response. Raises ApiError or ConnectionFailed. `Attempts` says when a call is repeated."""
        body = await self._send(method, path, repeatable, request)
        return body["data"]

    async def get(self, path: str) -> Any:
        """The `data` at a path."""
        return await self.request("GET", path)

    async def page(self, kind: type[T], path: str, **parameters: Any) -> Page[T]:
        """A page of a list; parameters that are None are omitted."""
        return page(kind, await self._send("GET", path, True, {"params": present(parameters)}))

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, parameters: dict[str, str], headers: dict[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """GET a file, with any status and an unread body. Raises ConnectionFailed, also in the block."""
        try:
            async with self._http.stream("GET", path, params=parameters, headers=headers) as response:
                yield response
        except httpx.TransportError as error:
            raise connection_failed(self._base + path, error) from error

    async def _send(self, method: str, path: str, repeatable: bool, request: dict[str, Any]) -> dict[str, Any]:
        """The JSON of the response."""
        headers = headers_of(method)
        attempts = Attempts(method, repeatable)
        while True:
            try:
                response = await self._http.request(method, path, headers=headers, **request)
            except httpx.TransportError as error:
                delay = attempts.delay_after_failure()
                if delay is None:
                    raise connection_failed(self._base + path, error) from error
            else:
                delay = attempts.delay_after(response)
                if delay is None:
                    return body_of(response)
            await asyncio.sleep(delay)
