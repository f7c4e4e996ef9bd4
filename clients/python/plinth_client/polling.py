"""When to ask for renders again that are not over yet."""

import time
from collections.abc import Sequence

from plinth_client.errors import WaitTimeout
from plinth_client.responses import Progress, Render

MIN_POLL_SECONDS, MAX_POLL_SECONDS, POLL_GROWTH = 0.5, 10.0, 1.5
OVER = ("done", "error", "failed")


class Polling:
    """The renders that are waited for: the latest state of each, and the delay until the next poll."""

    def __init__(self, render_ids: Sequence[str], timeout: float | None) -> None:
        self.latest: dict[str, Render] = {}
        self.open_ids = list(dict.fromkeys(render_ids))  # those that are not over
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._delay = MIN_POLL_SECONDS
        self._polled: list[tuple[str, Progress | None]] = []

    def add(self, render: Render) -> None:
        """Keep the state of a render."""
        self.latest[render.id] = render
        if render.status in OVER:
            self.open_ids.remove(render.id)

    def delay(self) -> float:
        """The seconds until the next poll, which grow while nothing changes. Raises WaitTimeout."""
        polled = [(render.status, render.progress) for render in self.latest.values()]
        self._delay = MIN_POLL_SECONDS if polled != self._polled else min(self._delay * POLL_GROWTH, MAX_POLL_SECONDS)
        self._polled = polled
        if self._deadline is None:
            return self._delay
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise WaitTimeout(self.latest[self.open_ids[0]], self._timeout or 0)
        return min(self._delay, remaining)
