"""Downloads that stream, resume after an interruption, and get their final name only when they are complete."""

import asyncio
from pathlib import Path

from plinth_client import calls
from plinth_client.asynchronous.transport import AsyncTransport
from plinth_client.blocking import in_thread
from plinth_client.errors import ConnectionFailed
from plinth_client.partial_files import PartialFile, Progress, Target


async def download(
    transport: AsyncTransport, path: str, target: Target, on_progress: Progress | None = None, **parameters: str
) -> Path:
    """Save the file at the API's `path` as `target`, and return its path. `parameters` go into the query.

    A later call for the same file resumes an interrupted one. `on_progress` is called with the bytes received and the
    total, None if the server does not send it. Raises ApiError, ConnectionFailed after several attempts without
    progress, and OSError.
    """
    partial = PartialFile(target)
    failures = 0
    while True:
        before = partial.received
        try:
            await _download_once(transport, path, partial, on_progress, parameters)
            return partial.complete()
        except ConnectionFailed:
            failures = 1 if partial.received > before else failures + 1
            if failures == calls.MAX_ATTEMPTS:
                raise
        await asyncio.sleep(calls.FIRST_RETRY_DELAY_SECONDS * 2 ** (failures - 1))


async def _download_once(
    transport: AsyncTransport,
    path: str,
    partial: PartialFile,
    on_progress: Progress | None,
    parameters: dict[str, str],
) -> None:
    async with transport.stream(path, parameters, partial.headers()) as response:
        if not response.is_success:
            await response.aread()
            raise partial.refusal(response)
        with partial.open(response) as file:
            done = file.tell()
            async for block in response.aiter_bytes():
                await in_thread(file.write, block)
                done += len(block)
                if on_progress:
                    on_progress(done, partial.total)
