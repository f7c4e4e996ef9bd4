"""Reads a zipped scan in memory. Nothing is unpacked to disk, so names in the zip cannot escape a folder."""

import zipfile
import zlib
from pathlib import PurePosixPath
from typing import BinaryIO

from farm.errors import InvalidFormat

MAX_ENTRIES = 1000
MAX_UNPACKED_BYTES = 512 * 1024**2  # unpacked: OBJ, MTL and textures together
IGNORED = "__MACOSX"  # a folder that macOS adds to every zip
ENCRYPTED = 0x1


class Archive:
    """The files of a zip, found by their references in OBJ and MTL. `read` counts towards MAX_UNPACKED_BYTES."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises InvalidFormat: not a zip, or more than MAX_ENTRIES entries."""
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise InvalidFormat("The file is called .zip but is not a readable zip archive: pack it again") from error
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise InvalidFormat(f"The zip has {len(entries)} entries, {MAX_ENTRIES} are allowed: pack a single scan")
        self._entries = {
            path: entry
            for entry in entries
            if not entry.is_dir() and not _hidden(path := PurePosixPath(entry.filename.replace("\\", "/")))
        }
        self._remaining_bytes = MAX_UNPACKED_BYTES

    def with_suffix(self, suffix: str) -> list[PurePosixPath]:
        """The paths with this suffix, ignoring case."""
        return [path for path in self._entries if path.suffix.lower() == suffix]

    def find(self, reference: str, beside: PurePosixPath) -> PurePosixPath | None:
        """Resolve a `reference` in the file at `beside`, ignoring case; None if the zip has no such file.

        Scanners write paths of their own machine (`C:\\scans\\a.jpg`, `/tmp/a.jpg`, `../a.jpg`). Therefore, if there is
        no file at the exact path, the bare name is used, provided that the zip has exactly one file of that name.
        """
        target = PurePosixPath(reference.strip().strip('"').replace("\\", "/"))
        exact = str(beside.parent / target).lower()
        same_name = [path for path in self._entries if path.name.lower() == target.name.lower()]
        exact_matches = [path for path in same_name if str(path).lower() == exact]
        found = exact_matches or same_name
        return found[0] if len(found) == 1 else None

    def read(self, path: PurePosixPath) -> bytes:
        """The bytes of one file. Raises InvalidFormat: encrypted, damaged, or beyond MAX_UNPACKED_BYTES."""
        entry = self._entries[path]
        if entry.flag_bits & ENCRYPTED:
            raise InvalidFormat(f"The zip's {path.name[:80]!a} is encrypted: pack it again without a password")
        try:
            with self._zip.open(entry) as file:
                content = file.read(self._remaining_bytes + 1)  # the declared size is untrusted
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise InvalidFormat(f"The zip's {path.name[:80]!a} cannot be read ({error}): pack it again") from error
        self._remaining_bytes -= len(content)
        if self._remaining_bytes < 0:
            raise InvalidFormat(
                f"The zip unpacks to more than {MAX_UNPACKED_BYTES // 1024**2} MB: make the scan smaller"
            )
        return content


def _hidden(path: PurePosixPath) -> bool:
    return path.parts[:1] == (IGNORED,) or any(part.startswith(".") for part in path.parts)
