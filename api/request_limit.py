"""Limits how many requests are served at a time, so that a flood gets quick errors instead of using up the memory."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from api.health import PATH as HEALTH
from farm.errors import Unavailable

RETRY_AFTER_SECONDS = 1


class RequestLimit:
    """ASGI middleware: 503 for a request beyond `max_requests`. The health check always passes.

    A request counts until its response begins: clients that read slowly do not keep others out. The number of
    connections and their minimum rate (api.connection) bound them.
    """

    def __init__(self, app: ASGIApp, max_requests: int) -> None:
        self.app, self.max_requests, self.running = app, max_requests, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == HEALTH:
            await self.app(scope, receive, send)
            return
        if self.running >= self.max_requests:
            response = error_response(
                Unavailable(f"The API serves {self.max_requests} requests at a time, and is full: try again shortly")
            )
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
            await response(scope, receive, send)
            return
        self.running += 1
        is_running = True

        def end() -> None:
            nonlocal is_running
            self.running -= is_running
            is_running = False

        async def send_and_end(message: Message) -> None:
            if message["type"] == "http.response.start":
                end()
            await send(message)

        try:
            await self.app(scope, receive, send_and_end)
        finally:
            end()
