"""A log for each attempt at a chunk, kept with the chunk in the database, also when the attempt failed: our own lines,
those of ffmpeg among them, and what Blender said."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from farm import logs
from farm.blender.client import LOG_NAME
from farm.db import attempt_logs
from farm.db.session import Database, after_commit
from farm.scheduling.leases import ClaimedChunk
from farm.worker.context import Node

log = structlog.get_logger()

PREFIX = "attempt-"
# Characters kept: of an attempt that went well, and of one that did not.
MOST_OF_GOOD, MOST_OF_BAD = 2_000, 16_000
# How Blender begins the lines that it prints by the dozen for every frame; the first kind tells how far it is.
PROGRESS, CHATTER = "Fra:", ("Saved: ", "Time: ")


class ChunkLog:
    """The log of one attempt, in a file until it is stored."""

    def __init__(self, node: Node, chunk: ClaimedChunk) -> None:
        self.node, self.chunk = node, chunk
        self.path = node.scratch / f"{PREFIX}{chunk.id}-{chunk.attempt}"
        self.is_stored = False

    def store(self, db: Session) -> None:
        """Store what was said so far, as the last of what the transaction that ends the chunk does.

        What is said after it stands in the node's own log only.
        """
        try:
            text = shortened(_said(self.node, self.path), MOST_OF_GOOD)
        except OSError:  # no reason for the attempt to fail
            return
        attempt_logs.store(db, self.chunk.id, self.chunk.attempt, self.node.name, text)
        after_commit(db, self._stored)

    def _stored(self) -> None:
        self.is_stored = True


@contextlib.contextmanager
def kept(node: Node, database: Database, chunk: ClaimedChunk) -> Iterator[ChunkLog]:
    """While the block runs every line names node, chunk, attempt and renders; at its end all of them are stored."""
    said = ChunkLog(node, chunk)
    with contextlib.suppress(FileNotFoundError), (node.scratch / LOG_NAME).open("r+") as of_blender:
        of_blender.truncate(0)  # what it said of chunks before is stored with them
    try:
        renders = [render.id for render in chunk.renders]
        with logs.copied(said.path, node=node.name, chunk=chunk.id, attempt=chunk.attempt, renders=renders):
            yield said
    finally:
        if said.is_stored:
            said.path.unlink(missing_ok=True)
        else:
            _store(node, database, said.path)


def rescue(node: Node, database: Database, why: str) -> None:
    """Store the log that a work-horse could not store any more because it was killed."""
    for path in node.scratch.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), path.open("a") as said:  # a full disk must not end the worker
            said.write(f"{why}\n")
        _store(node, database, path)


def _store(node: Node, database: Database, path: Path) -> None:
    """Store the log of an attempt that came to nothing, and remove its file. Failing here is nobody's trouble."""
    chunk_id, attempt = path.name.removeprefix(PREFIX).split("-")
    try:
        text = shortened(_said(node, path), MOST_OF_BAD)
        with database.write() as db:
            attempt_logs.store(db, chunk_id, int(attempt), node.name, text)
    except IntegrityError:
        pass  # the chunk was deleted meanwhile, or whoever was killed had stored its log
    except Exception as error:
        log.warning("the log of an attempt could not be stored", chunk=chunk_id, attempt=attempt, error=str(error))
    finally:
        path.unlink(missing_ok=True)


def _said(node: Node, path: Path) -> str:
    return path.read_text(errors="replace") + _of_blender(node.scratch / LOG_NAME)


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
