"""Storage in a local or shared folder."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from farm.storage.protocol import BLOCK_BYTES, StoredFile

if TYPE_CHECKING:
    from tempfile import _TemporaryFileWrapper

MAX_FOLDER_ATTEMPTS = 1000  # to create a folder that others remove while it is empty


class FolderStorage:
    """Storage in a folder. Writes go to a temporary file, which is flushed to disk and renamed into place."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def put(self, key: str, source: Path) -> None:
        target = self._path(key)
        with source.open("rb") as readable, _temporary_file(target) as copy:
            try:
                shutil.copyfileobj(readable, copy, BLOCK_BYTES)
                copy.flush()
                os.fsync(copy.fileno())
                Path(copy.name).replace(target)
            except BaseException:
                Path(copy.name).unlink(missing_ok=True)
                raise
        _sync_folder(target.parent)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        file = self._path(key).open("rb")  # opened here, so that a missing file raises before the first block
        return _blocks(file, start, length)

    def local(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise FileNotFoundError(key)
        return path

    def delete(self, key: str) -> None:
        path = self._path(key)
        path.unlink(missing_ok=True)
        for folder in path.relative_to(self.root).parents[:-1]:
            try:
                (self.root / folder).rmdir()
            except OSError:  # not empty, or gone already
                break

    def keys(self, prefix: str) -> Iterator[str]:
        folder, _, start = prefix.rpartition("/")
        top = self._path(folder)
        for path, folders, names in os.walk(top, onerror=_raise):
            here = Path(path)
            if here == top:  # a prefix that names a file enters no folder beside it
                folders[:] = [name for name in folders if name.startswith(start)]
                names = [name for name in names if name.startswith(start)]
            for name in names:
                yield (here / name).relative_to(self.root).as_posix()

    def files(self) -> Iterator[StoredFile]:
        for key in self.keys(""):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                found = self._path(key).stat()
                yield StoredFile(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def link(self, key: str, content_type: str, disposition: str) -> None:  # noqa: ARG002 - the protocol's
        return None

    def _path(self, key: str) -> Path:
        path = Path(os.path.normpath(self.root / key))
        if not path.is_relative_to(self.root):
            raise ValueError(f"storage key {key!r} leaves the storage folder")
        return path


def _blocks(file: BinaryIO, start: int, length: int | None) -> Iterator[bytes]:
    with file:
        file.seek(start)
        remaining = length
        while block := file.read(BLOCK_BYTES if remaining is None else min(BLOCK_BYTES, remaining)):
            if remaining is not None:
                remaining -= len(block)
            yield block


def _temporary_file(target: Path) -> "_TemporaryFileWrapper[bytes]":
    """A file beside `target` with the same name prefix, so that `keys` finds it if this process is killed.

    Creates the folder if necessary; retries, because a concurrent `delete` may remove the empty folder. Raises
    FileNotFoundError where no folder can be created, as under /proc.
    """
    for attempt in range(1, MAX_FOLDER_ATTEMPTS + 1):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            return NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.put-", delete=False)
        except FileNotFoundError:
            if attempt == MAX_FOLDER_ATTEMPTS:
                raise
    raise AssertionError


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut: the name is stored in the folder, not in the file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _raise(error: OSError) -> None:
    """Raise the error of a folder that cannot be read: its files are not gone. One that is missing has none."""
    if not isinstance(error, FileNotFoundError):
        raise error
