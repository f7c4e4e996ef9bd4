"""Reads a zipped scan in memory. Nothing is unpacked to disk, so names in the zip cannot escape a folder."""

import os
import posixpath
import unicodedata
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import BinaryIO

from farm.errors import InvalidFormat

MAX_ENTRIES = 1000
MAX_DIRECTORY_BYTES = 4 * 1024**2  # of the list of entries, which is read before they can be counted
MAX_NAME_LENGTH = 256  # characters of an entry's path; a longer one is refused and not cut, as MTL files refer to it
MAX_UNPACKED_BYTES = 512 * 1024**2  # unpacked: OBJ, MTL and textures together
MAX_TEXT_RATIO, MIN_SUSPECT_BYTES = 100, 10 * 1024**2  # OBJ files shrink to a third or a tenth
MAX_END_BYTES = 22 + 65535  # of the record at the end and its comment
IGNORED = "__MACOSX"  # a folder that macOS adds to every zip
ENCRYPTED, UTF_8 = 0x1, 0x800  # flags of an entry
# Zips and OBJ files seldom declare their encoding: CP932 is Japanese Windows, CP437 what the zip format names, CP1252
# and CP850 Western Windows. Any bytes are valid CP437.
ENCODINGS = ("cp932", "cp437", "cp1252", "cp850")


class Archive:
    """The files of a zip, found by their references in OBJ and MTL. `read` counts towards MAX_UNPACKED_BYTES."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises InvalidFormat: not a zip, more than MAX_ENTRIES entries, or a name that is too long."""
        if _directory_bytes(file) > MAX_DIRECTORY_BYTES:
            raise InvalidFormat(f"The zip has far more than {MAX_ENTRIES} entries: pack a single scan")
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise InvalidFormat("The file is called .zip but is not a readable zip archive: pack it again") from error
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise InvalidFormat(f"The zip has {len(entries)} entries, {MAX_ENTRIES} are allowed: pack a single scan")
        self._entries: dict[PurePosixPath, zipfile.ZipInfo] = {}
        self._spellings: dict[PurePosixPath, list[PurePosixPath]] = {}  # lower case
        for entry in entries:
            names = _entry_names(entry)
            path = _path(names[0])
            if len(names[0]) > MAX_NAME_LENGTH:
                allowed = f"{MAX_NAME_LENGTH} are allowed: shorten it"
                raise InvalidFormat(
                    f"The path of the zip's {path.name[:80]!a} has {len(names[0])} characters, {allowed}"
                )
            if not entry.is_dir() and not _hidden(path):
                self._entries[path] = entry
                self._spellings[path] = [_path(name.lower()) for name in names]
        self._remaining_bytes = MAX_UNPACKED_BYTES

    def with_suffix(self, suffix: str) -> list[PurePosixPath]:
        """The paths with this suffix, ignoring case."""
        return [path for path in self._entries if path.suffix.lower() == suffix]

    def find(self, reference: bytes, beside: PurePosixPath) -> PurePosixPath | None:
        """Resolve a `reference` in the file at `beside`, ignoring case; None if the zip has no such file.

        Scanners write paths of their own machine (`C:\\scans\\a.jpg`, `/tmp/a.jpg`). Therefore, if there is no file at
        the exact path, the file with the same name is used; of several, the one whose folders agree the furthest.
        """
        targets = [_path(name.strip().strip('"').lower()) for name in spellings(reference)]
        exact = {_path(posixpath.normpath(f"{beside.parent}/{target}".lower())) for target in targets}
        agreeing: dict[PurePosixPath, int] = {}
        for path, names in self._spellings.items():
            if exact.intersection(names):
                return path
            agreeing[path] = max(_common_tail(name, target) for name in names for target in targets)
        most = max(agreeing.values(), default=0)
        found = [path for path, length in agreeing.items() if length == most]
        return found[0] if most and len(found) == 1 else None

    def read_text(self, path: PurePosixPath) -> bytes:
        """Like `read`, for an OBJ or MTL. Raises InvalidFormat also for one that shrinks more than such text does."""
        entry = self._entries[path]
        self._check_size(entry)
        if entry.file_size > max(MIN_SUSPECT_BYTES, MAX_TEXT_RATIO * entry.compress_size):
            raise InvalidFormat(
                f"The zip's {path.name[:80]!a} unpacks to over {MAX_TEXT_RATIO} times its size: export it again"
            )
        return self.read(path)

    def read(self, path: PurePosixPath) -> bytes:
        """The bytes of one file. Raises InvalidFormat: encrypted, damaged, or beyond MAX_UNPACKED_BYTES."""
        entry = self._entries[path]
        if entry.flag_bits & ENCRYPTED:
            raise InvalidFormat(f"The zip's {path.name[:80]!a} is encrypted: pack it again without a password")
        self._check_size(entry)
        try:
            with self._zip.open(entry) as file:
                content = file.read(self._remaining_bytes + 1)  # the declared size is untrusted
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise InvalidFormat(f"The zip's {path.name[:80]!a} cannot be read ({error}): pack it again") from error
        self._remaining_bytes -= len(content)
        if self._remaining_bytes < 0:
            raise self._too_large()
        return content

    def _check_size(self, entry: zipfile.ZipInfo) -> None:
        if entry.file_size > self._remaining_bytes:  # zipfile reads no more than that
            raise self._too_large()

    @staticmethod
    def _too_large() -> InvalidFormat:
        return InvalidFormat(f"The zip unpacks to more than {MAX_UNPACKED_BYTES // 1024**2} MB: make the scan smaller")


def spellings(name: bytes) -> list[str]:
    """The possible readings of a name of unknown encoding, the likeliest first, in Unicode's composed form (NFC)."""
    try:
        return [unicodedata.normalize("NFC", name.decode("utf-8"))]  # hardly ever valid by accident
    except UnicodeDecodeError:
        found = []
    for encoding in ENCODINGS:
        try:
            found.append(unicodedata.normalize("NFC", name.decode(encoding)))
        except UnicodeDecodeError:
            continue
    return found


def _directory_bytes(file: BinaryIO) -> int:
    """The size of the list of entries, from the record at the end of the zip; 0 if there is none."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MAX_END_BYTES))
    end = file.read(MAX_END_BYTES)
    at = end.rfind(b"PK\5\6")
    return int.from_bytes(end[at + 12 : at + 16], "little") if at >= 0 else 0


def _entry_names(entry: zipfile.ZipInfo) -> list[str]:
    if entry.flag_bits & UTF_8:
        return [unicodedata.normalize("NFC", entry.filename)]
    return spellings(entry.filename.encode("cp437"))  # undoes zipfile's decoding


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _common_tail(one: PurePosixPath, other: PurePosixPath) -> int:
    """The number of parts at the end that are the same."""
    pairs = list(zip(reversed(one.parts), reversed(other.parts), strict=False))
    return next((length for length, (part, same) in enumerate(pairs) if part != same), len(pairs))


def _hidden(path: PurePosixPath) -> bool:
    return path.parts[:1] == (IGNORED,) or any(part.startswith(".") for part in path.parts)
