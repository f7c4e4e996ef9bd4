"""Turns of accounts at work that needs a lot of memory or a core: many requests of one do not hold up another's."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most `slots` at once, and of one account one less, so that others always find a slot or soon get one.

    Waiting requests hold no thread. The accounts that wait take turns, and each one's requests keep their order.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # the next account first

    @asynccontextmanager
    async def turn(self, account_id: str) -> AsyncIterator[None]:
        """Wait for the account's turn, and hold a slot inside the block."""
        await self._wait(account_id)
        try:
            yield
        finally:
            self._leave(account_id)

    async def _wait(self, account_id: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account_id, deque()).append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(account_id)
            raise

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
