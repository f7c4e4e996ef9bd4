"""Turns of accounts at work that needs a lot of memory or a core: many requests of one do not hold up another's."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from farm.errors import InvalidRequest


class Turns:
    """At most `slots` at once, and of one account one less, so that others always find a slot or soon get one.

    Waiting requests hold no thread. The accounts that wait take turns, and each one's requests keep their order.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # the next account first

    @asynccontextmanager
    async def turn(self, account_id: str, abandoned: Callable[[], Coroutine[Any, Any, Any]]) -> AsyncIterator[None]:
        """Wait for the account's turn, and hold a slot inside the block.

        Raises InvalidRequest if `abandoned`, which waits for the client to close its connection, returns before.
        """
        turn = self._queue(account_id)
        try:
            if not turn.done():
                await self._wait(turn, abandoned)
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._leave(account_id)
            turn.cancel()

    def _queue(self, account_id: str) -> asyncio.Future[None]:
        """A place in the account's queue, done as soon as it is the account's turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account_id, deque()).append(turn)
        self._admit()
        return turn

    @staticmethod
    async def _wait(turn: asyncio.Future[None], abandoned: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        hang_up = asyncio.create_task(abandoned())
        try:
            await asyncio.wait([turn, hang_up], return_when=asyncio.FIRST_COMPLETED)
        finally:
            hang_up.cancel()
        if not turn.done():
            raise InvalidRequest("The connection was closed during the request")

    def _leave(self, account_id: str) -> None:
        self._running[account_id] -= 1
        if not self._running[account_id]:
            del self._running[account_id]
        self._admit()

    def _admit(self) -> None:
        """Give the free slots to the accounts whose turn it is."""
        for account_id in list(self._waiting):
            queue = self._waiting[account_id]
            while queue and queue[0].cancelled():
                queue.popleft()
            may_run = self._running.total() < self._slots and self._running[account_id] < max(self._slots - 1, 1)
            if queue and may_run:
                queue.popleft().set_result(None)
                self._running[account_id] += 1
                self._waiting.move_to_end(account_id)
            if not queue:
                del self._waiting[account_id]
