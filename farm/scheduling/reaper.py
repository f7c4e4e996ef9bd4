"""The reaper: takes back chunks whose worker fell silent, rings again for all that wait, and tidies up."""

import threading
from collections.abc import Callable
from functools import partial

import structlog

from farm.db import chunks, counters, nodes
from farm.db.session import Database
from farm.errors import WorkerLost
from farm.scheduling import leases
from farm.scheduling.cleanup import tidy
from farm.scheduling.doorbell import Doorbell, connect
from farm.settings import Settings
from farm.storage import open_storage

log = structlog.get_logger()


SWEEPS_A_LEASE = 6


def run(settings: Settings, stop: threading.Event) -> None:
    """Sweep and tidy several times a lease until `stop` is set.

    Each at its own pace: a storage may be silent for long, and no chunk shall wait for it.
    """
    database, doorbell = Database(settings.database), Doorbell(connect(settings.redis_url))
    storage = open_storage(settings)
    pause = settings.lease_seconds / SWEEPS_A_LEASE
    tidying = partial(again_and_again, partial(tidy, database, storage), pause, stop)
    threading.Thread(target=tidying, name="tidying", daemon=True).start()
    again_and_again(partial(sweep, database, doorbell, settings), pause, stop)


def again_and_again(act: Callable[[], None], pause: float, stop: threading.Event) -> None:
    """Act every `pause` seconds until `stop` is set. What fails is logged and tried again the next time."""
    while not stop.wait(pause):
        try:
            act()
        except Exception:
            log.exception("the reaper failed, and tries again")


def sweep(database: Database, doorbell: Doorbell, settings: Settings) -> None:
    """One pass over the unfinished chunks."""
    with database.write() as db:
        counters.add_up(db)
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
    doorbell.ring_for_all(database)
