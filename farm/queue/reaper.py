"""The reaper: takes back chunks whose worker fell silent, rings again for all that wait, and tidies up."""

import threading

import structlog

from farm import leases
from farm.db import chunks, nodes, tallies
from farm.db.session import Database
from farm.errors import WorkerLost
from farm.queue.queues import Doorbell, connect
from farm.settings import Settings
from farm.storage import open_storage
from farm.tidy import tidy

log = structlog.get_logger()


SWEEPS_A_LEASE = 6


def run(settings: Settings, stop: threading.Event) -> None:
    """Sweep several times a lease until `stop` is set. A sweep that fails is logged and the next one tries again."""
    database, bell = Database(settings.database), Doorbell(connect(settings.redis_url))
    storage = open_storage(settings)
    while not stop.wait(settings.lease_seconds / SWEEPS_A_LEASE):
        try:
            sweep(database, bell, settings)
            tidy(database, storage)
        except Exception:
            log.exception("the reaper's sweep failed")


def sweep(database: Database, bell: Doorbell, settings: Settings) -> None:
    """One pass over the unfinished chunks."""
    with database.write() as db:
        tallies.add_up(db)
        lapsed = leases.lapsed(db)
    for chunk in lapsed:
        log.warning("a node fell silent", node=chunk.worker, chunk=chunk.id, attempt=chunk.attempt)
        with database.write() as db:
            leases.fail(db, chunk.id, chunk.attempt, WorkerLost(), attempts=settings.attempts)
    with database.read() as db:
        engines = nodes.engines_lately(db)
        left_alone = chunks.left_alone(db, engines) if engines else []
    for shot in left_alone:
        log.warning("no node is left of the engine that has begun a shot; another starts over", shot=shot.id)
        with database.write() as db:
            leases.start_over(db, shot.id)
    with database.read() as db:
        bell.ring_for_all(db)
