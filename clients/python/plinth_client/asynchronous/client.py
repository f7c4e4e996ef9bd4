"""The client of one farm with one API key."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from plinth_client.asynchronous.catalogue import AsyncEffects, AsyncScenes
from plinth_client.asynchronous.models import AsyncModels
from plinth_client.asynchronous.overlays import AsyncOverlays
from plinth_client.asynchronous.renders import AsyncRenders
from plinth_client.asynchronous.transport import AsyncTransport
from plinth_client.render_settings import RenderSettings
from plinth_client.responses import Account, Health, Quote, from_json


class AsyncPlinth:
    """A client of the farm at `url`, such as "http://127.0.0.1:8000". Close it, or use it in a with block.

    `timeout`: seconds to wait for the farm to send data. Every call may raise a subclass of PlinthError. When the
    connection fails, calls are repeated, except deletions; a repeated upload or order has its effect once. When the
    farm says after how many seconds it will accept a call, as for a rate limit, the call waits up to ten minutes.
    """

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 60.0) -> None:
        self._api = AsyncTransport(url, key, timeout)
        self.models = AsyncModels(self._api)
        self.renders = AsyncRenders(self._api)
        self.overlays = AsyncOverlays(self._api)
        self.scenes = AsyncScenes(self._api)
        self.effects = AsyncEffects(self._api)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def account(self) -> Account:
        """The account that the API key belongs to."""
        return from_json(Account, await self._api.get("account"))

    async def quote(self, renders: Sequence[RenderSettings]) -> Quote:
        """The price of up to 100 renders with these settings."""
        data = await self._api.request("POST", "quote", json={"renders": [*renders]})
        return from_json(Quote, data)

    async def health(self) -> Health:
        """Check that the API is up; needs no key. Raises ServerError, which names the parts that are down."""
        return from_json(Health, await self._api.get("health"))
