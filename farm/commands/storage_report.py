"""`farm doctor --storage`: files that no row names, and rows whose file is missing. Changes nothing."""

import json
from typing import Any, NamedTuple

from farm.commands.shared import console, iso_time
from farm.db import clock, stored_files
from farm.db.cleanups import UPLOAD_GRACE
from farm.db.session import Database
from farm.scheduling.render_status import OVER
from farm.settings import Settings
from farm.storage import Storage, open_storage
from farm.storage.protocol import StoredFile


class MissingFile(NamedTuple):
    """A row that names a file which is not stored: `kind` is model, overlay or render."""

    kind: str
    id: str
    key: str


def print_storage_report(settings: Settings, *, as_json: bool) -> bool:
    """Print all differences between storage and database. Returns whether there are none."""
    database = Database(settings.database)
    try:
        database.check_version()
        unknown, missing = compare(database, open_storage(settings))
    finally:
        database.close()
    if as_json:
        rows = [row._asdict() for row in missing]
        print(json.dumps({"filesWithoutRow": [_json(file) for file in unknown], "rowsWithoutFile": rows}, indent=2))
    else:
        for file in unknown:
            console.print(f"file without row  {file.key}, {file.size} bytes, {file.written_at:%Y-%m-%d %H:%M} UTC")
        for row in missing:
            console.print(f"row without file  {row.kind} {row.id}, {row.key}")
        total = sum(file.size for file in unknown)
        console.print(f"{len(unknown)} files without a row, {total} bytes; {len(missing)} rows without a file")
    return not unknown and not missing


def compare(database: Database, storage: Storage) -> tuple[list[StoredFile], list[MissingFile]]:
    """The files that no row names, and the rows whose file is missing, by key.

    Files of unfinished renders, and files younger than an upload in progress may be, are left out. Differences that
    arose while this ran, because a file was stored or deleted, are not reported.
    """
    stored = {file.key: file for file in storage.files()}
    with database.read() as db:
        unfinished = stored_files.unfinished_renders(db, OVER)
        named = stored_files.named(db)
        missing = [MissingFile(*row) for row in stored_files.needed(db) if row[2] not in stored]
        old = clock.now(db) - UPLOAD_GRACE
    unknown = [
        file
        for key, file in sorted(stored.items())
        if key not in named and file.written_at < old and _render_of(key) not in unfinished
    ]
    return (
        [file for file in unknown if file.key in storage.keys(file.key)],
        [row for row in sorted(missing, key=lambda row: row.key) if row.key not in storage.keys(row.key)],
    )


def _render_of(key: str) -> str | None:
    """The id of the render in whose folder a file is."""
    kind, _, rest = key.partition("/")
    return rest.partition("/")[0] if kind == "renders" else None


def _json(file: StoredFile) -> dict[str, Any]:
    return {"key": file.key, "bytes": file.size, "written": iso_time(file.written_at)}
