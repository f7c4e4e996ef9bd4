"""ZIP files of pictures: stored uncompressed, as PNGs are compressed already, and with reproducible bytes."""

import zipfile

TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the format's earliest
UNIX, MODE = 3, 0o644 << 16


def add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Append a file to a ZIP that is being written."""
    entry = zipfile.ZipInfo(name, TIMESTAMP)
    entry.create_system, entry.external_attr = UNIX, MODE
    archive.writestr(entry, content, zipfile.ZIP_STORED)
