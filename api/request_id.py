"""Gives every request an id, in the response and in the log, and turns unexpected exceptions into a plain 500."""

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from farm.errors import FarmError
from farm.ids import new_id

log = structlog.get_logger()


class RequestId:
    """ASGI middleware: X-Request-ID in every response, `request` in every log line of the request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, started = new_id(), False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except Exception:
                log.exception("request_failed", method=scope["method"], path=scope["path"])
                if started:  # too late for another response: the server closes the connection
                    raise
                response = error_response(
                    FarmError(f"Internal server error; if you report it, quote request {request_id}")
                )
                await response(scope, receive, send_with_id)
