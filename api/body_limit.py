"""A bound for request bodies that are read whole. Starlette's own bound answers in text/plain, past our envelope."""

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

MAX_BODY_BYTES = 1024 * 1024


def limited(receive: Receive) -> Receive:
    """`receive`, which raises once the body has grown beyond MAX_BODY_BYTES bytes.

    It raises HTTPException and not our BodyTooLarge, because FastAPI takes any other exception for a broken body.
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
