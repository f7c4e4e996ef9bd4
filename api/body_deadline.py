"""Refuses request bodies that arrive too slowly, so that they do not hold connections and files."""

import asyncio
import time

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLOSE = {"Connection": "close"}  # the rest of the body would follow


class BodyDeadline:
    """ASGI middleware: a body gets `seconds`, plus one for each `bytes_per_second` bytes received.

    Only the time in which the application waits for the body counts. It raises HTTPException and not our
    RequestTimeout, because FastAPI treats any other exception as a malformed body.
    """

    def __init__(self, app: ASGIApp, seconds: float, bytes_per_second: int) -> None:
        self.app, self.seconds, self.bytes_per_second = app, seconds, bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        waited, received, is_complete, is_answered = 0.0, 0, False, False

        async def receive_in_time() -> Message:
            nonlocal waited, received, is_complete
            if is_complete or is_answered:
                return await receive()  # waits for the client to disconnect
            started = time.monotonic()
            try:
                async with asyncio.timeout(self.seconds + received / self.bytes_per_second - waited):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, headers=CLOSE) from None
            waited += time.monotonic() - started
            received += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        await self.app(scope, receive_in_time, send_and_note)
