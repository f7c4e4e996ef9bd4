"""The job of a work-horse: it works on chunks, each from the claim to its published files."""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import structlog

from farm.db import chunks, clock, suspect_models
from farm.db.chunks import FINISHING, PREVIEW
from farm.db.session import DATABASE_DOWN, Database
from farm.errors import (
    BadModel,
    DiskFull,
    FarmError,
    HarmfulModel,
    LeaseLost,
    RenderFailed,
    Unavailable,
    is_disk_full,
    reason_of,
)
from farm.nodes import quarantine, registry
from farm.processes.child_process import die_with_parent
from farm.processes.scratch import work_folder
from farm.scheduling import leases
from farm.scheduling.doorbell import Doorbell, connect
from farm.scheduling.leases import ClaimedChunk
from farm.storage import Storage, open_storage
from farm.tiers import DATASET_TIERS
from farm.worker import node_check
from farm.worker.chunk_log import ChunkLog, recorded
from farm.worker.context import WorkerContext, current
from farm.worker.datasets import draw_dataset_chunk, finish_dataset
from farm.worker.drawing import draw_video_chunk
from farm.worker.finishing import finish_video
from farm.worker.lease import Lease

log = structlog.get_logger()

# A service that all nodes share is down: neither the chunk nor this node is at fault.
OUTAGE = (Unavailable, *DATABASE_DOWN)
OUTAGE_PAUSE_SECONDS = 10.0  # before a node that met an outage works again
MAX_OUTAGE = timedelta(days=1)  # a chunk is postponed for this long, counted from its order

WORK_SECONDS = 15.0  # a work-horse claims chunks for this long, as starting one costs as much as five short chunks

# A claim skips the chunks of a shot that another worker is claiming from at the same time.
MAX_CLAIM_ATTEMPTS, CLAIM_RETRY_SECONDS = 5, 0.05

Work = Callable[[WorkerContext, Lease, Storage, Path], None]
VIDEO_WORK: dict[str, Work] = {"draw": draw_video_chunk, "finish": finish_video}
DATASET_WORK: dict[str, Work] = {"draw": draw_dataset_chunk, "finish": finish_dataset}


def work() -> None:
    """Claim chunks and work on them until none waits or WORK_SECONDS have passed; check the node before if it is due.

    Safe to run at any time: the database determines the next chunk.
    """
    context = current()
    if os.getpid() != context.worker_pid:  # in a work-horse
        die_with_parent(context.worker_pid)
    try:
        with (
            contextlib.closing(Database(context.settings.database)) as database,
            connect(context.settings.redis_url) as redis,
        ):
            if node_check.check(context, database):
                _work_until_idle(context, database, Doorbell(redis))
    except OUTAGE as error:
        log.warning("work_interrupted", error=reason_of(error))
        time.sleep(OUTAGE_PAUSE_SECONDS)


def _work_until_idle(context: WorkerContext, database: Database, doorbell: Doorbell) -> None:
    storage = open_storage(context.settings)
    deadline = time.monotonic() + WORK_SECONDS
    while time.monotonic() < deadline and not context.is_stop_requested():
        try:
            chunk = claim(context, database)
        except OtherTenant:  # the worker replaces the host first
            break
        if chunk is None:
            return
        with recorded(context, database, chunk) as chunk_log:
            if not work_on(context, database, storage, doorbell, chunk, chunk_log):
                break
    doorbell.wake_for_waiting(database)


class OtherTenant(Exception):
    """The Blender host may not open the model of the chunk whose turn it is."""


def claim(context: WorkerContext, database: Database) -> ClaimedChunk | None:
    """The chunk whose turn it is, now leased; None when there is none for this node. Raises OtherTenant."""
    for _ in range(MAX_CLAIM_ATTEMPTS):
        with database.write() as db:
            claimant = registry.claimant(db, context.name)
            if claimant is None:  # drained, quarantined or being checked
                return None
            claimant = replace(claimant, drawing_first=context.previews.drawing_first)
            chunk = leases.claim_next(db, claimant, seconds=context.settings.lease_seconds)
            if chunk and chunk.kind == "draw" and not context.host_admits(chunk.account_id):
                raise OtherTenant  # which undoes the claim
            priorities = claimant.priorities if claimant.draws or claimant.drawn_tags else (FINISHING, PREVIEW)
            waits = chunk or any(
                chunks.count_waiting(db, priority, limit=1, tags=claimant.tags) for priority in priorities
            )
        if chunk or not waits:
            context.previews.count(chunk.priority if chunk else None)
            return chunk
        time.sleep(CLAIM_RETRY_SECONDS)
    return None


def work_on(
    context: WorkerContext,
    database: Database,
    storage: Storage,
    doorbell: Doorbell,
    chunk: ClaimedChunk,
    chunk_log: ChunkLog,
) -> bool:
    """Work on a claimed chunk. False when its lease was lost, or the attempt failed, which is then recorded.

    Raises the error of an outage, after recording it.
    """
    log.info("chunk_started", kind=chunk.kind, first_frame=chunk.first_frame, frames=chunk.frames)
    try:
        with work_folder(context.scratch) as scratch:
            _refuse_harmful(database, chunk)
            lease = Lease(database, doorbell, chunk, context.settings.lease_seconds, chunk_log.store)
            work = (DATASET_WORK if chunk.tier in DATASET_TIERS else VIDEO_WORK)[chunk.kind]
            work(context, lease, storage, scratch)
        return True
    except LeaseLost:
        log.warning("lease_lost")
        return False  # Blender may still draw this chunk: the worker checks the host first
    except Exception as error:
        is_expected = isinstance(error, (FarmError, *OUTAGE)) or is_disk_full(error)
        log.warning("attempt_failed", kind=type(error).__name__, error=reason_of(error), exc_info=not is_expected)
        record_failure(context, database, doorbell, chunk, error)
        if isinstance(error, OUTAGE):
            raise
        return False  # Blender may have ended


def _refuse_harmful(database: Database, chunk: ClaimedChunk) -> None:
    """Raises BadModel for a model that was found harmful after it was ordered."""
    with database.read() as db:
        if chunk.kind == "draw" and suspect_models.refused(db, [chunk.model_sha256], chunk.account_id):
            raise BadModel(HarmfulModel.default)


def record_failure(
    context: WorkerContext, database: Database, doorbell: Doorbell, chunk: ClaimedChunk, error: BaseException
) -> None:
    """Record a failed attempt; one that met an outage counts as no failure, for a day after the order."""
    if isinstance(error, OUTAGE):
        with database.write() as db:
            if chunk.created_at > clock.now(db) - MAX_OUTAGE:
                leases.postpone(db, chunk.id, chunk.attempt, str(error))
                return
    reason = error if isinstance(error, FarmError) else DiskFull() if is_disk_full(error) else RenderFailed()
    with database.write() as db:
        model = chunks.model(db, chunk.shot_id)
        leases.fail(
            db,
            doorbell,
            chunk.id,
            chunk.attempt,
            reason,
            max_attempts=context.settings.attempts,
            retry_seconds=context.settings.retry_seconds,
        )
        if model:  # None if the render was deleted meanwhile
            quarantine.record_failure(db, context.name, model, error, chunk.claimed_at)
