"""Files of downloads: partial ones beside the target, which a later attempt or a later run resumes."""

import base64
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import httpx

from plinth_client.calls import error_of
from plinth_client.errors import ConnectionFailed, PlinthError

Progress = Callable[[int, int | None], None]
Target = str | PathLike[str]


class PartialFile:
    """The target of a download. Until it is complete it is named .NAME.ETAG.part, beside the target."""

    def __init__(self, target: Target) -> None:
        self.target = Path(target)
        self._part: Path | None = None
        self._total: int | None = None

    @property
    def received(self) -> int:
        """The bytes that earlier attempts have left."""
        return sum(part.stat().st_size for part in self._parts())

    def headers(self) -> dict[str, str]:
        """The headers that request what is missing."""
        headers = {"Accept-Encoding": "identity"}  # ranges count the file's own bytes
        self._part = next(iter(self._parts()), None)
        if self._part:
            headers |= {"Range": f"bytes={self._part.stat().st_size}-", "If-Range": _tag(self._part)}
        return headers

    def refusal(self, response: httpx.Response) -> PlinthError:
        """The error for a response whose status is an error. ConnectionFailed: the next attempt starts afresh."""
        if response.status_code == 416 and self._part:  # already complete, or the file has changed
            self._part.unlink()
            return ConnectionFailed(f"{self.target}: the partial download does not match the file on the server")
        return error_of(response)

    def open(self, response: httpx.Response) -> BinaryIO:
        """The partial file, open at the place where the response goes on."""
        mode = "ab"
        if not (self._part and response.status_code == 206):
            for stale in self._parts():
                stale.unlink()
            self._part, mode = self._new_part(response), "wb"
        length = response.headers.get("Content-Length")
        done = self._part.stat().st_size if mode == "ab" else 0
        self._total = None if length is None else done + int(length)
        return self._part.open(mode)  # type: ignore[return-value] # the modes are binary

    @property
    def total(self) -> int | None:
        """The size of the complete file in bytes; None if the server does not send it."""
        return self._total

    def complete(self) -> Path:
        """Give the file the target's name, and return its path."""
        assert self._part, "`open` chooses it"
        return self._part.replace(self.target)

    def _new_part(self, response: httpx.Response) -> Path:
        """Path of the partial file. It can be resumed only if the response has a strong ETag."""
        tag = response.headers.get("ETag", "")
        name = base64.urlsafe_b64encode(tag.encode()).decode() if tag.startswith('"') else "once"
        return self.target.with_name(f".{self.target.name}.{name}.part")

    def _parts(self) -> list[Path]:
        """Partial files of earlier attempts that can be resumed."""
        start, end = f".{self.target.name}.", ".part"
        names = (
            entry for entry in self.target.parent.iterdir() if entry.name.startswith(start) and entry.name.endswith(end)
        )
        return sorted(part for part in names if not part.name.endswith(".once.part"))


def _tag(part: Path) -> str:
    return base64.urlsafe_b64decode(part.suffixes[-2][1:]).decode()
