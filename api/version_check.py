"""Whether the tables are of this code's version, asked for all requests together."""

import time

import structlog

from farm.db.session import Database
from farm.errors import WrongVersion

log = structlog.get_logger()

VALID_SECONDS = 5.0  # as between the heartbeats of a worker, which then notices too


class VersionCheck:
    """Remembers for VALID_SECONDS that the version was right, so that it costs a request nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._valid_until = 0.0  # by time.monotonic

    def check(self) -> None:
        """Raises WrongVersion, with a message for clients; the log says what to run."""
        if time.monotonic() < self._valid_until:
            return
        try:
            self._database.check_version()
        except WrongVersion as error:
            log.error("database_version_wrong", error=error.message)
            raise WrongVersion from error
        self._valid_until = time.monotonic() + VALID_SECONDS
