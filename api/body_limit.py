"""Size limit of request bodies that are read whole. Starlette's own limit bypasses our error envelope."""

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

MAX_BODY_BYTES = 1024 * 1024


def limited(receive: Receive) -> Receive:
    """`receive`, which raises once the body exceeds MAX_BODY_BYTES.

    It raises HTTPException and not our BodyTooLarge, because FastAPI treats any other exception as a malformed body.
    """
    received = 0

    async def receive_within_limit() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise HTTPException(413)
        return message

    return receive_within_limit
