"""The reaper: reclaims chunks of lost workers, wakes workers for chunks that still wait, and cleans up."""

import threading
from collections.abc import Callable
from functools import partial

import structlog

from farm.db import chunks, counters, nodes
from farm.db.session import DATABASE_DOWN, Database
from farm.errors import WrongVersion, reason_of
from farm.scheduling import leases
from farm.scheduling.attempted import attempted
from farm.scheduling.cleanup import clean_up
from farm.scheduling.doorbell import Doorbell, connect
from farm.scheduling.purge import purge
from farm.settings import Settings
from farm.storage import open_storage

log = structlog.get_logger()

PASSES_PER_LEASE = 6
PURGE_INTERVAL_SECONDS = 60


def run(settings: Settings, stop: threading.Event) -> None:
    """Reap and clean up several times a lease, and purge every minute, until `stop` is set.

    Each in a thread of its own, so that no chunk waits while the storage does not respond.
    """
    database, doorbell = Database(settings.database), Doorbell(connect(settings.redis_url))
    storage = open_storage(settings)
    interval = settings.lease_seconds / PASSES_PER_LEASE
    cleaning = partial(repeat, database, partial(clean_up, database, storage), interval, stop)
    threading.Thread(target=cleaning, name="cleanup", daemon=True).start()
    purging = partial(repeat, database, partial(purge, database, storage, settings), PURGE_INTERVAL_SECONDS, stop)
    threading.Thread(target=purging, name="purge", daemon=True).start()
    log.info("reaper_ready")
    repeat(database, partial(reap, database, doorbell, settings), interval, stop)


def repeat(database: Database, action: Callable[[], None], interval: float, stop: threading.Event) -> None:
    """Run `action` every `interval` seconds until `stop` is set. A failure is logged, and the next run retries.

    While the tables are not of this code's version, nothing is run, which is logged once.
    """
    logged = None
    while not stop.wait(interval):
        try:
            database.check_version()
            logged = None
            action()
        except WrongVersion as error:
            if error.message != logged:
                log.error("database_version_wrong", error=error.message)
            logged = error.message
        except Exception as error:
            log.error("reaper_failed", error=reason_of(error), exc_info=not isinstance(error, DATABASE_DOWN))


def reap(database: Database, doorbell: Doorbell, settings: Settings) -> None:
    """One pass over the unfinished chunks. A step, or a chunk, that fails does not keep the others from their turn."""
    with attempted(database, "counters"), database.write() as db:
        counters.merge(db)
    with attempted(database, "leases"):
        _fail_expired(database, doorbell, settings)
    with attempted(database, "shots"):
        _restart_orphaned(database)
    doorbell.wake_for_waiting(database)


def _fail_expired(database: Database, doorbell: Doorbell, settings: Settings) -> None:
    # A transaction per chunk: each locks one shot and its accounts, so it cannot deadlock with a client's.
    with database.read() as db:
        expired = chunks.expired(db)
    for chunk in expired:
        log.warning("lease_expired", node=chunk.worker, chunk=chunk.id, attempt=chunk.attempt)
        with attempted(database, "leases"), database.write() as db:
            leases.expire(db, doorbell, chunk.id, chunk.attempt, max_attempts=settings.attempts)


def _restart_orphaned(database: Database) -> None:
    """Restart shots that were begun by an engine that no node for their account has now."""
    with database.read() as db:
        orphaned = nodes.orphaned_shots(db)
    for shot in orphaned:
        log.warning("orphaned_shot_restarted", shot=shot.id, engine=shot.engine)
        with attempted(database, "shots"), database.write() as db:
            leases.start_over(db, shot.id)
