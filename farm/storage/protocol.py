"""The interface of all storages."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Link:
    """A URL for downloading a file from the storage directly, and the ETag of that response."""

    url: str
    tag: str


class StoredFile(NamedTuple):
    """A file of the storage: its key, its size in bytes, and the time of its last write."""

    key: str
    size: int
    written_at: datetime


class Storage(Protocol):
    """Keys are relative paths such as `renders/Xz7pQ4w8nR2k/video.mp4`. A file exists completely or not at all.

    The content of a key never changes. A storage on another machine raises Unavailable for all errors but
    FileNotFoundError, after several attempts.
    """

    def put(self, key: str, source: Path) -> None:
        """Store a copy of `source` under `key`, replacing an existing file."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`, `length` of them or all, in blocks. Raises FileNotFoundError before the first."""

    def local(self, key: str) -> Path:
        """A file on this machine with the bytes of `key`, to be opened within minutes. Raises FileNotFoundError."""

    def delete(self, key: str) -> None:
        """Delete `key`; no error if it does not exist."""

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with `prefix`, including temporary files that a killed `put` left."""

    def files(self) -> Iterator[StoredFile]:
        """All files, including temporary ones."""

    def link(self, key: str, content_type: str, disposition: str) -> Link | None:
        """A link for a direct download of `key` with these Content- headers; None if the API must send it.

        Raises FileNotFoundError.
        """
