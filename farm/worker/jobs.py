"""What runs inside a work-horse: one chunk, from the claim to the published files."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from farm.db import chunks
from farm.db.session import Database, after_commit
from farm.db.tables import Shot, now
from farm.errors import DiskFull, FarmError, LeaseLost, RenderFailed, Unavailable, is_disk_full
from farm.nodes import quarantine, registry
from farm.scheduling import leases
from farm.scheduling.doorbell import Doorbell, connect
from farm.scheduling.leases import Claimant, ClaimedChunk
from farm.storage import Storage, open_storage
from farm.tiers import DATASET_TIERS
from farm.worker import chunk_log, datasets, drawing, finishing
from farm.worker.chunk_log import ChunkLog
from farm.worker.context import Node, current
from farm.worker.lease import Lease

log = structlog.get_logger()

# Something that all nodes share does not do its work: neither the chunk nor this node is to blame.
OUTAGE = (Unavailable, OperationalError)
OUTAGE_PAUSE = 10.0  # seconds until a node that has met an outage takes work again
LONGEST_OUTAGE = timedelta(days=1)  # for whose sake a chunk is tried again and again, counted from its order

MOMENT = 15.0  # seconds that short chunks share a work-horse, as starting one takes as long as five of them
TRIES, PAUSE = 5, 0.05  # of claiming, while others claim at the same moment; seconds

VIDEO = {"draw": drawing.draw, "finish": finishing.finish}
DATASET = {"draw": datasets.draw, "finish": datasets.finish}


def work() -> None:
    """Claim and do the chunks whose turn it is, for a moment at least, so that short ones share one work-horse.

    Safe to run at any time: only a claim counts.
    """
    try:
        _work(current())
    except OUTAGE:
        time.sleep(OUTAGE_PAUSE)
        raise


def _work(node: Node) -> None:
    storage = open_storage(node.settings)
    began = time.monotonic()
    database = Database(node.settings.database, fleeting=True)
    with contextlib.closing(database), connect(node.settings.redis_url) as redis:
        doorbell = Doorbell(redis)
        with database.read() as db:
            claimant = registry.claimant(db, node.name)
        while claimant and time.monotonic() < began + MOMENT and not node.is_told_to_stop():
            if (chunk := claim(node, database, claimant)) is None:
                break
            with chunk_log.kept(node, database, chunk) as said:
                held = do(node, database, storage, doorbell, chunk, said)
            if not held:
                break
        doorbell.ring_for_all(database)


def do(
    node: Node, database: Database, storage: Storage, doorbell: Doorbell, chunk: ClaimedChunk, said: ChunkLog
) -> bool:
    """Do a claimed chunk. False when it was taken away. A failed attempt is recorded, and its error raised."""
    log.info("chunk begun", kind=chunk.kind, first_frame=chunk.first_frame, frames=chunk.frames)
    try:
        with scratch_folder(node.scratch) as scratch:
            lease = Lease(database, chunk, node.settings.lease_seconds, said.store)
            work_on = (DATASET if chunk.tier in DATASET_TIERS else VIDEO)[chunk.kind]
            work_on(node, lease, storage, doorbell, scratch)
        return True
    except LeaseLost:
        log.warning("the chunk was taken away or deleted")
        return False  # Blender may still draw for it: the worker must look after it first
    except Exception as error:
        log.warning("the attempt failed", error=str(error), exc_info=True)
        give_back(node, database, doorbell, chunk, error)
        raise


def claim(node: Node, database: Database, claimant: Claimant) -> ClaimedChunk | None:
    """The chunk whose turn it is, now claimed; None when there is nothing for this node."""
    for _ in range(TRIES):
        with database.write() as db:
            if chunk := leases.claim_next(db, claimant, seconds=node.settings.lease_seconds):
                return chunk
            if registry.claimant(db, node.name) is None:  # drained or quarantined meanwhile
                return None
            if not any(chunks.waiting(db, priority, at_most=1) for priority in claimant.priorities):
                return None
        time.sleep(PAUSE)
    return None


def give_back(node: Node, database: Database, doorbell: Doorbell, chunk: ClaimedChunk, error: BaseException) -> None:
    """Record a failed attempt, and ring for the next one where there is one. After an outage the reaper rings."""
    if isinstance(error, OUTAGE) and chunk.created_at > now() - LONGEST_OUTAGE:
        with database.write() as db:
            leases.postpone(db, chunk.id, chunk.attempt)
        return
    reason = error if isinstance(error, FarmError) else DiskFull() if is_disk_full(error) else RenderFailed()
    with database.write() as db:
        model_id = db.scalar(select(Shot.model_id).where(Shot.id == chunk.shot_id))
        again = leases.fail(db, chunk.id, chunk.attempt, reason, attempts=node.settings.attempts)
        if model_id:  # else the render was deleted meanwhile
            quarantine.failed(db, node.name, model_id, error)
        if again:
            after_commit(db, lambda: doorbell.ring(again.priority))


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="work-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
