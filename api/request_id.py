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
        request_id = new_id()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request_id):
            await self.app(scope, receive, send_with_id)


class UnexpectedErrors:
    """ASGI middleware: logs an exception that has no handler, and responds with the request's id and no internals."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception:
            log.exception("request_failed", method=scope["method"], path=scope["path"])
            if started:  # too late for another response: the server closes the connection
                raise
            request_id = structlog.contextvars.get_contextvars()["request"]
            response = error_response(FarmError(f"Internal server error; if you report it, quote request {request_id}"))
            await response(scope, receive, send)
