# Made of plinth_client/asynchronous/ by clients/make_synchronous.py: change those files.
"""The client of one farm with one API key."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from plinth_client.render_settings import RenderSettings
from plinth_client.responses import Account, Health, Quote, from_json
from plinth_client.synchronous.catalogue import Effects, Scenes
from plinth_client.synchronous.models import Models
from plinth_client.synchronous.overlays import Overlays
from plinth_client.synchronous.renders import Renders
from plinth_client.synchronous.transport import Transport


class Plinth:
    """A client of the farm at `url`, such as "http://127.0.0.1:8000". Close it, or use it in a with block.

    `timeout`: seconds to wait for the farm to send data. Every call may raise a subclass of PlinthError. When the
    connection fails, calls are repeated, except deletions; a repeated upload or order has its effect once. When the
    farm says after how many seconds it will accept a call, as for a rate limit, the call waits up to ten minutes.
    """

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 60.0) -> None:
        self._api = Transport(url, key, timeout)
        self.models = Models(self._api)
        self.renders = Renders(self._api)
        self.overlays = Overlays(self._api)
        self.scenes = Scenes(self._api)
        self.effects = Effects(self._api)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def account(self) -> Account:
        """The account that the API key belongs to."""
        return from_json(Account, self._api.get("account"))

    def quote(self, renders: Sequence[RenderSettings]) -> Quote:
        """The price of up to 100 renders with these settings."""
        data = self._api.request("POST", "quote", json={"renders": [*renders]})
        return from_json(Quote, data)

    def health(self) -> Health:
        """Check that the API is up; needs no key. Raises ServerError, which names the parts that are down."""
        return from_json(Health, self._api.get("health"))
