"""The files that a Blender host reads: copies in a folder of its own, so that it can be kept from all others."""

import hashlib
import shutil
from pathlib import Path

from farm.processes.removal import remove


def staged(source: Path, folder: Path) -> Path:
    """A copy of `source` in `folder`, where it replaces what was there; reused until the source changes.

    Each version has a path of its own. A source that does not exist is returned as it is, for Blender to report.
    """
    try:
        stat = source.stat()
    except OSError:
        return source
    version = f"{source.absolute()} {stat.st_ino} {stat.st_mtime_ns} {stat.st_size}"
    copy = folder / hashlib.sha256(version.encode()).hexdigest()[:16] / source.name
    if not copy.exists():
        remove(folder)
        copy.parent.mkdir(parents=True)
        unfinished = copy.with_name("unfinished")
        shutil.copyfile(source, unfinished)
        unfinished.rename(copy)
    return copy
