"""A log for each attempt at a chunk, stored with the chunk in the database, of failed attempts too.

It holds our own log lines, ffmpeg's among them, and Blender's output.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from farm import logs
from farm.blender.client import LOG_NAME
from farm.db import attempt_logs
from farm.db.session import Database, after_commit
from farm.errors import reason_of
from farm.scheduling.leases import ClaimedChunk
from farm.worker.context import WorkerContext

log = structlog.get_logger()

PREFIX = "attempt-"
MAX_CHARACTERS_SUCCESS, MAX_CHARACTERS_FAILURE = 2_000, 16_000
MAX_BYTES = 4 * MAX_CHARACTERS_FAILURE  # read of Blender's output at either end: a host may write gigabytes
# Beginnings of lines that Blender prints many times per frame; the first reports progress.
PROGRESS, REPEATED = "Fra:", ("Saved: ", "Time: ")


class ChunkLog:
    """The log of one attempt, in a file until it is stored."""

    def __init__(self, context: WorkerContext, chunk: ClaimedChunk) -> None:
        self.context, self.chunk = context, chunk
        self.path = context.scratch / f"{PREFIX}{chunk.id}-{chunk.attempt}"
        self.is_stored = False

    def store(self, db: Session) -> None:
        """Store the log so far, as the last step of the transaction that ends the chunk.

        Later lines are in the node's own log only.
        """
        try:
            text = shortened(_read(self.context, self.path), MAX_CHARACTERS_SUCCESS)
        except OSError:  # the attempt succeeds without its log
            return
        attempt_logs.store(db, self.chunk.id, self.chunk.attempt, self.context.name, text)
        after_commit(db, self._mark_stored)

    def _mark_stored(self) -> None:
        self.is_stored = True


@contextlib.contextmanager
def recorded(context: WorkerContext, database: Database, chunk: ClaimedChunk) -> Iterator[ChunkLog]:
    """Record the log while the block runs, every line with node, chunk, attempt and renders; then store it."""
    chunk_log = ChunkLog(context, chunk)
    with contextlib.suppress(FileNotFoundError), (context.scratch / LOG_NAME).open("r+") as blender_log:
        blender_log.truncate(0)  # its lines about earlier chunks are stored with those
    try:
        renders = [render.id for render in chunk.renders]
        with logs.copied(chunk_log.path, node=context.name, chunk=chunk.id, attempt=chunk.attempt, renders=renders):
            yield chunk_log
    finally:
        if chunk_log.is_stored:
            chunk_log.path.unlink(missing_ok=True)
        else:
            _store_failed(context, database, chunk_log.path)


def rescue(context: WorkerContext, database: Database, reason: str) -> None:
    """Store the log of a work-horse that was killed before it could store it."""
    for path in context.scratch.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), path.open("a") as file:  # a full disk must not end the worker
            file.write(f"{reason}\n")
        _store_failed(context, database, path)


def _store_failed(context: WorkerContext, database: Database, path: Path) -> None:
    """Store the log of a failed attempt, and remove its file. A log that cannot be stored is no error."""
    chunk_id, attempt = path.name.removeprefix(PREFIX).split("-")
    try:
        text = shortened(_read(context, path), MAX_CHARACTERS_FAILURE)
        with database.write() as db:
            attempt_logs.store(db, chunk_id, int(attempt), context.name, text)
    except IntegrityError:
        pass  # the chunk was deleted, or the work-horse stored the log before it was killed
    except Exception as error:
        log.warning("attempt_log_not_stored", chunk=chunk_id, attempt=attempt, error=reason_of(error))
    finally:
        path.unlink(missing_ok=True)


def _read(context: WorkerContext, path: Path) -> str:
    return path.read_text(errors="replace") + _blender_output(context.scratch / LOG_NAME)


def _blender_output(path: Path) -> str:
    """Blender's output, with only the last line of its progress reports; of a long one, the beginning and the end."""
    output, progress = [], ""
    for line in _ends(path).splitlines(keepends=True):
        if line.startswith(PROGRESS):
            progress = line
        elif line.strip() and not line.startswith(REPEATED):
            output.append(line)
    return f"Blender:\n{''.join(output)}{progress}" if output or progress else ""


def _ends(path: Path) -> str:
    """The text of a file, without what lies between its first and last MAX_BYTES; "" if there is none."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        head = file.read(MAX_BYTES)
        left_out = file.seek(0, os.SEEK_END) - 2 * MAX_BYTES
        file.seek(MAX_BYTES + max(left_out, 0))
        note = f"\n[{left_out} bytes left out]\n" if left_out > 0 else ""
        return head.decode(errors="replace") + note + file.read(MAX_BYTES).decode(errors="replace")
    return ""


def shortened(text: str, limit: int) -> str:
    """At most about `limit` characters of a text: a fifth from its beginning, the rest from its end."""
    if len(text) <= limit:
        return text
    head = limit // 5
    tail = limit - head
    return f"{text[:head]}\n[{len(text) - limit} characters left out]\n{text[-tail:]}"
