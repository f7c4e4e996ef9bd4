"""ZIP files of pictures: stored, because they are compressed already, and the same bytes for the same content."""

import zipfile

WHEN = (1980, 1, 1, 0, 0, 0)  # the format's own beginning of time
MODE = 0o644 << 16


def add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Append a file to a ZIP that is being written."""
    entry = zipfile.ZipInfo(name, WHEN)
    entry.create_system, entry.external_attr = 3, MODE  # Unix, a plain file that all may read
    archive.writestr(entry, content, zipfile.ZIP_STORED)
