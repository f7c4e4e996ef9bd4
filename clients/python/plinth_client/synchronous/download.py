# Made of plinth_client/asynchronous/ by clients/make_synchronous.py: change those files.
"""Downloads that stream, resume after an interruption, and get their final name only when they are complete."""

import time
from pathlib import Path

from plinth_client import calls
from plinth_client.blocking import directly
from plinth_client.errors import ConnectionFailed
from plinth_client.partial_files import PartialFile, Progress, Target
from plinth_client.synchronous.transport import Transport


def download(
    transport: Transport, path: str, target: Target, on_progress: Progress | None = None, **parameters: str
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
            _download_once(transport, path, partial, on_progress, parameters)
            return partial.complete()
        except ConnectionFailed:
            failures = 1 if partial.received > before else failures + 1
            if failures == calls.MAX_ATTEMPTS:
                raise
        time.sleep(calls.FIRST_RETRY_DELAY_SECONDS * 2 ** (failures - 1))


def _download_once(
    transport: Transport,
    path: str,
    partial: PartialFile,
    on_progress: Progress | None,
    parameters: dict[str, str],
) -> None:
    with transport.stream(path, parameters, partial.headers()) as response:
        if not response.is_success:
            response.read()
            raise partial.refusal(response)
        with partial.open(response) as file:
            done = file.tell()
            for block in response.iter_bytes():
                directly(file.write, block)
                done += len(block)
                if on_progress:
                    on_progress(done, partial.total)
