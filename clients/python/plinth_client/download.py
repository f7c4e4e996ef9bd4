"""Downloads that stream, resume after an interruption, and get their final name only when they are complete."""

import base64
import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import httpx

from plinth_client.errors import ConnectionFailed
from plinth_client.transport import FIRST_RETRY_DELAY_SECONDS, MAX_ATTEMPTS, Transport, error_from_response

Progress = Callable[[int, int | None], None]


def download(
    transport: Transport,
    path: str,
    target: str | PathLike[str],
    on_progress: Progress | None = None,
    **parameters: str,
) -> Path:
    """Save the file at the API's `path` as `target`, and return its path. `parameters` go into the query.

    Until it is complete it is named .NAME.ETAG.part, beside `target`; a later call for the same file resumes it.
    `on_progress` is called with the bytes received and the total, None if the server does not send it.
    Raises ApiError, ConnectionFailed after several attempts without progress, and OSError.
    """
    target_path = Path(target)
    failures = 0
    while True:
        before = _parts_size(target_path)
        try:
            _download_once(transport, path, target_path, on_progress, parameters)
            return target_path
        except ConnectionFailed:
            failures = 1 if _parts_size(target_path) > before else failures + 1
            if failures == MAX_ATTEMPTS:
                raise
        time.sleep(FIRST_RETRY_DELAY_SECONDS * 2 ** (failures - 1))


def _download_once(
    transport: Transport, path: str, target_path: Path, on_progress: Progress | None, parameters: dict[str, str]
) -> None:
    part = next(iter(_parts(target_path)), None)
    headers = {"Accept-Encoding": "identity"}  # ranges count the file's own bytes
    if part:
        headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": _tag(part)}
    with transport.stream(path, parameters, headers) as response:
        if response.status_code == 416 and part:  # already complete, or the file has changed
            part.unlink()
            raise ConnectionFailed(f"{path}: the partial download does not match the file on the server")
        if not response.is_success:
            response.read()
            raise error_from_response(response)
        if part and response.status_code == 206:
            done, mode = part.stat().st_size, "ab"
        else:
            for stale in _parts(target_path):
                stale.unlink()
            part, done, mode = _part(target_path, response), 0, "wb"
        total = done + int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
        with part.open(mode) as file:
            for block in response.iter_bytes():
                file.write(block)
                done += len(block)
                if on_progress:
                    on_progress(done, total)
    part.replace(target_path)


def _part(target_path: Path, response: httpx.Response) -> Path:
    """Path of the partial file. It can be resumed only if the response has a strong ETag."""
    tag = response.headers.get("ETag", "")
    name = base64.urlsafe_b64encode(tag.encode()).decode() if tag.startswith('"') else "once"
    return target_path.with_name(f".{target_path.name}.{name}.part")


def _tag(part: Path) -> str:
    return base64.urlsafe_b64decode(part.suffixes[-2][1:]).decode()


def _parts(target_path: Path) -> list[Path]:
    """Partial files of earlier attempts that can be resumed."""
    start, end = f".{target_path.name}.", ".part"
    names = (
        entry for entry in target_path.parent.iterdir() if entry.name.startswith(start) and entry.name.endswith(end)
    )
    return sorted(part for part in names if not part.name.endswith(".once.part"))


def _parts_size(target_path: Path) -> int:
    return sum(part.stat().st_size for part in _parts(target_path))
