"""Removes files and folders that may have been made to be hard to remove. Raises nothing, and follows no link."""

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that it holds, however deep. What cannot be removed stays."""
    with contextlib.suppress(OSError), _opened(str(path)) as folder:
        _empty(folder)
    with contextlib.suppress(OSError):
        path.rmdir()
    remove_files([path])


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files and links; folders stay, as do files that cannot be removed."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _empty(top: int) -> None:
    """Remove all that an open folder holds.

    Folders move up into `top` when they are found, so that neither paths nor the number of open files grow with the
    depth.
    """
    prefix = secrets.token_hex(8)  # of names that no file has
    waiting, moved = os.listdir(top), 0
    while waiting:
        name = waiting.pop()
        if _unlinked(name, top):
            continue
        with contextlib.suppress(OSError), _opened(name, top) as folder:
            for inner in os.listdir(folder):  # noqa: PTH208 (of an open folder)
                if _unlinked(inner, folder):
                    continue
                with (
                    contextlib.suppress(OSError),
                    _opened(inner, folder),
                ):
                    os.rename(inner, f"{prefix}{moved}", src_dir_fd=folder, dst_dir_fd=top)
                    waiting.append(f"{prefix}{moved}")
                    moved += 1
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=top)


def _unlinked(name: str, folder: int) -> bool:
    """Whether a file or a link could be removed; a folder cannot."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)
        return True
    return False


@contextlib.contextmanager
def _opened(name: str, parent: int | None = None) -> Iterator[int]:
    """An open folder, which its owner may now read and change. Raises OSError, also for a link."""
    found = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        handle = f"/proc/self/fd/{found}"  # of the very folder that was found, whatever its name means by now
        os.chmod(handle, 0o700)  # noqa: PTH101
        folder = os.open(handle, os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(found)
    try:
        yield folder
    finally:
        os.close(folder)
