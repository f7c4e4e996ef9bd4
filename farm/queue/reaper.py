"""The reaper: takes back chunks whose worker fell silent, and rings again for all that wait."""

import threading

import structlog

from farm import leases
from farm.db.session import Database
from farm.queue.queues import Doorbell

log = structlog.get_logger()


def run(database: Database, bell: Doorbell, *, attempts: int, every: float, stop: threading.Event) -> None:
    """Sweep every `every` seconds until `stop` is set. A sweep that fails is logged and the next one tries again."""
    while not stop.wait(every):
        try:
            sweep(database, bell, attempts=attempts)
        except Exception:
            log.exception("the reaper's sweep failed")


def sweep(database: Database, bell: Doorbell, *, attempts: int) -> None:
    """One pass over the unfinished chunks."""
    with database.write() as db:
        waiting = leases.reap(db, attempts=attempts)
    for chunk in waiting:
        bell.ring(chunk)
