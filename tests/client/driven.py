"""The asynchronous client behind the methods of the synchronous one, so that a test runs with both."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Protocol, Self, cast

from plinth_client import AsyncPlinth, Plinth

KINDS = ("synchronous", "asynchronous")


class _Driven:
    """An object whose coroutines run to their end, each when it is called."""

    def __init__(self, subject: object, loop: asyncio.AbstractEventLoop) -> None:
        self._subject = subject
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._subject, name)
        if not callable(member):
            return _Driven(member, self._loop)

        def call(*arguments: Any, **options: Any) -> Any:
            result = member(*arguments, **options)
            if inspect.isasyncgen(result):
                result = _items(result)
            return self._loop.run_until_complete(result)

        return call


class _DrivenClient(_Driven):
    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        super().__init__(AsyncPlinth(url, key, timeout=timeout), asyncio.new_event_loop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()
        self._loop.close()


async def _items(iterator: AsyncIterator[object]) -> list[object]:
    return [item async for item in iterator]


class Connect(Protocol):
    """Opens a client."""

    def __call__(self, url: str, key: str | None = None, *, timeout: float = 60.0) -> Plinth: ...


def driven(url: str, key: str | None = None, *, timeout: float = 60.0) -> Plinth:
    """An asynchronous client that blocks as the synchronous one does."""
    return cast(Plinth, _DrivenClient(url, key, timeout))
