"""Logs one line for each request. It holds no key, no query string and no path, only the path's template."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

MAX_METHOD_LENGTH = 16  # a client may send any word


class AccessLog:
    """ASGI middleware. An unknown path has no `route`, a request without a valid key no `key`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status: int | None = None
        sent = 0

        async def send_and_count(message: Message) -> None:
            nonlocal status, sent
            await send(message)
            status = message.get("status", status)
            sent += len(message.get("body", b""))

        try:
            await self.app(scope, receive, send_and_count)
        finally:
            log.info(
                "request_ended",
                method=scope["method"][:MAX_METHOD_LENGTH],
                route=route_of(scope),
                status=status,
                ms=round(1000 * (time.perf_counter() - started), 1),
                bytes=sent,
                key=scope.get("state", {}).get("key_id"),
            )


def route_of(scope: Scope) -> str | None:
    """The path's template, /v1/models/{model_id}: FastAPI's route has that part of it which its own router knows."""
    route = scope.get("route")
    if route is None:
        return None
    known: str = route.path_format.format(**scope["path_params"])
    path = scope["path"].removesuffix("\n")  # which the framework's patterns let pass at the end of a path
    return f"{path.removesuffix(known)}{route.path}"
