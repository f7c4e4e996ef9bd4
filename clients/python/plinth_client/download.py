"""Downloads that stream, resume where they broke off, and appear under their name only when they are whole."""

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
    **render_settings: str,
) -> Path:
    """Save the file at `path` as `target`, and return where it lies.

    Until it is whole it is called .NAME.ETAG.part, beside `target`; a later call for the same file goes on from there.
    `on_progress` is told the bytes there are and the bytes in all, None where the server does not say.
    Raises ApiError, ConnectionFailed after several tries without a byte, and OSError.
    """
    place = Path(target)
    failures = 0
    while True:
        before = _parts_size(place)
        try:
            _download_once(transport, path, place, on_progress, render_settings)
            return place
        except ConnectionFailed:
            failures = 1 if _parts_size(place) > before else failures + 1
            if failures == MAX_ATTEMPTS:
                raise
        time.sleep(FIRST_RETRY_DELAY_SECONDS * 2 ** (failures - 1))


def _download_once(
    transport: Transport, path: str, place: Path, on_progress: Progress | None, parameters: dict[str, str]
) -> None:
    part = next(iter(_parts(place)), None)
    headers = {"Accept-Encoding": "identity"}  # ranges count the file's own bytes
    if part:
        headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": _tag(part)}
    with transport.stream(path, parameters, headers) as response:
        if response.status_code == 416 and part:  # it was whole already, or is not what it was
            part.unlink()
            raise ConnectionFailed(f"{path}: what was there of it does not fit any more")
        if not response.is_success:
            response.read()
            raise error_from_response(response)
        if part and response.status_code == 206:
            done, mode = part.stat().st_size, "ab"
        else:
            for stale in _parts(place):
                stale.unlink()
            part, done, mode = _part(place, response), 0, "wb"
        total = done + int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
        with part.open(mode) as file:
            for block in response.iter_bytes():
                file.write(block)
                done += len(block)
                if on_progress:
                    on_progress(done, total)
    part.replace(place)


def _part(place: Path, response: httpx.Response) -> Path:
    """Where the body is gathered. Only a strong ETag says what a later request may go on with."""
    tag = response.headers.get("ETag", "")
    name = base64.urlsafe_b64encode(tag.encode()).decode() if tag.startswith('"') else "once"
    return place.with_name(f".{place.name}.{name}.part")


def _tag(part: Path) -> str:
    return base64.urlsafe_b64decode(part.suffixes[-2][1:]).decode()


def _parts(place: Path) -> list[Path]:
    """What earlier tries have left and can be gone on with."""
    start, end = f".{place.name}.", ".part"
    names = (entry for entry in place.parent.iterdir() if entry.name.startswith(start) and entry.name.endswith(end))
    return sorted(part for part in names if not part.name.endswith(".once.part"))


def _parts_size(place: Path) -> int:
    return sum(part.stat().st_size for part in _parts(place))
