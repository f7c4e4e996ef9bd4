"""Files to be uploaded: a path or an open file, with progress reports."""

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import IO, BinaryIO

Progress = Callable[[int, int | None], None]
Source = str | PathLike[str] | BinaryIO


class _ProgressReader(io.RawIOBase):
    """A file that reports how much of it has been read."""

    def __init__(self, file: BinaryIO, on_progress: Progress) -> None:
        self._file = file
        self._on_progress = on_progress
        self._done = 0
        try:
            self._total: int | None = file.seek(0, io.SEEK_END)
            file.seek(0)
        except (OSError, AttributeError):
            self._total = None

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        if block:
            self._done += len(block)
            self._on_progress(self._done, self._total)
        return block

    def seekable(self) -> bool:
        return self._total is not None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._done = self._file.seek(offset, whence)  # a call that is repeated reads the file from its start
        return self._done

    def tell(self) -> int:
        return self._file.tell()


@contextlib.contextmanager
def open_source(source: Source, name: str | None, on_progress: Progress | None) -> Iterator[tuple[str, IO[bytes]]]:
    """The file's name for the server, and the file, which is open during the block. Raises OSError."""
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | PathLike):
            path = Path(fspath(source))
            file: BinaryIO = stack.enter_context(path.open("rb"))
        else:
            path, file = Path(str(getattr(source, "name", "model.glb"))), source
        watched: IO[bytes] = _ProgressReader(file, on_progress) if on_progress else file  # type: ignore[assignment]
        yield name or path.name, watched


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
