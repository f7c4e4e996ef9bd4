"""What every storage can do."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Link:
    """Where a client may fetch a file from the storage itself, and the ETag that the storage gives it."""

    url: str
    tag: str


class Storage(Protocol):
    """Keys are relative paths such as `renders/Xz7pQ4w8nR2k/video.mp4`. A file is there whole or not at all.

    What a key holds never changes. All but FileNotFoundError that goes wrong with a storage beyond this machine is
    raised as Unavailable, after some tries.
    """

    def put(self, key: str, source: Path) -> None:
        """Store a copy of `source` under `key`, replacing what is there."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`, `length` of them or all, in blocks. Raises FileNotFoundError before the first."""

    def local(self, key: str) -> Path:
        """A file on this machine with the bytes of `key`, to be opened within minutes. Raises FileNotFoundError."""

    def delete(self, key: str) -> None:
        """Remove `key`; no error when it is not there."""

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with `prefix`, also of what a killed `put` has left of such a key."""

    def link(self, key: str, content_type: str, disposition: str) -> Link | None:
        """For a client that shall fetch `key` itself, with these Content- headers; None: only we hand it out.

        Raises FileNotFoundError.
        """
