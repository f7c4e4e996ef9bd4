"""A log for each attempt at a chunk, kept with the chunk in the database, also when the attempt failed: our own lines,
those of ffmpeg among them, and what Blender said."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import structlog
from sqlalchemy.exc import IntegrityError

from farm import logs
from farm.blender.client import LOG_NAME
from farm.db import attempt_logs
from farm.db.session import Database
from farm.leases import ClaimedChunk
from farm.queue.node import Node

log = structlog.get_logger()

PREFIX = "attempt-"
# Characters kept: of an attempt that went well, and of one that did not.
MOST_OF_GOOD, MOST_OF_BAD = 2_000, 16_000
# How Blender begins the lines that it prints by the dozen for every frame; the first kind tells how far it is.
PROGRESS, CHATTER = "Fra:", ("Saved: ", "Time: ")


@contextlib.contextmanager
def kept(node: Node, database: Database, chunk: ClaimedChunk) -> Iterator[None]:
    """While the block runs every line names node, chunk, attempt and renders; at its end all of them are stored."""
    renders = [render.id for render in chunk.renders]
    path = node.scratch / f"{PREFIX}{chunk.id}-{chunk.attempt}"
    with contextlib.suppress(FileNotFoundError), (node.scratch / LOG_NAME).open("r+") as of_blender:
        of_blender.truncate(0)  # what it said of chunks before is stored with them
    most = MOST_OF_BAD
    try:
        with logs.copied(path, node=node.name, chunk=chunk.id, attempt=chunk.attempt, renders=renders):
            yield
        most = MOST_OF_GOOD
    finally:
        _store(node, database, path, most)


def rescue(node: Node, database: Database, why: str) -> None:
    """Store the log that a work-horse could not store any more because it was killed."""
    for path in node.scratch.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), path.open("a") as said:  # a full disk must not end the worker
            said.write(f"{why}\n")
        _store(node, database, path, MOST_OF_BAD)


def _store(node: Node, database: Database, path: Path, most: int) -> None:
    """Store a log and remove its file. A log that cannot be stored is no reason for a render to fail."""
    chunk_id, attempt = path.name.removeprefix(PREFIX).split("-")
    try:
        text = path.read_text(errors="replace") + _of_blender(node.scratch / LOG_NAME)
        with database.write() as db:
            attempt_logs.store(db, chunk_id, int(attempt), node.name, shortened(text, most))
    except IntegrityError:
        pass  # the chunk was deleted meanwhile, or whoever was killed had stored its log
    except Exception as error:
        log.warning("the log of an attempt could not be stored", chunk=chunk_id, attempt=attempt, error=str(error))
    finally:
        path.unlink(missing_ok=True)


def _of_blender(path: Path) -> str:
    """What Blender said, of its progress only the last line."""
    said, progress = [], ""
    with contextlib.suppress(FileNotFoundError), path.open(errors="replace") as lines:
        for line in lines:
            if line.startswith(PROGRESS):
                progress = line
            elif line.strip() and not line.startswith(CHATTER):
                said.append(line)
    return f"Blender:\n{''.join(said)}{progress}" if said or progress else ""


def shortened(text: str, most: int) -> str:
    """At most about `most` characters of a text: a fifth from its beginning, the rest from its end."""
    if len(text) <= most:
        return text
    head = most // 5
    tail = most - head
    return f"{text[:head]}\n[{len(text) - most} characters left out]\n{text[-tail:]}"
