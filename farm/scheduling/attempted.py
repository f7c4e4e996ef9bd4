"""Steps of the reaper that may fail without keeping it from the others."""

import contextlib
from collections.abc import Iterator

import structlog

from farm.db import counters
from farm.db.session import Database
from farm.errors import reason_of

log = structlog.get_logger()


@contextlib.contextmanager
def attempted(database: Database, what: str, item: str | None = None) -> Iterator[None]:
    """Log and count an error of the block, which deals with `what`, or with one item of it; the next pass retries."""
    try:
        yield
    except Exception as error:
        log.warning("reaper_step_failed", what=what, item=item, error=reason_of(error))
        with contextlib.suppress(Exception), database.write() as db:  # what failed may be the database
            counters.REAPER_FAILURES.add(db, what=what)
