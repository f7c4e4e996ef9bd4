"""The database's clock: the only one by which rows are dated, and leases, heartbeats and due times set and judged.

The clocks of the machines may be off by hours. SQLite, which is a library, has the clock of the one machine; it gets
PostgreSQL's function (farm.db.session), so that both databases can date the rows that they insert.
"""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from farm.db.tables import UtcDateTime

MAX_CLOCK_OFFSET_SECONDS = 2.0  # of a machine: more is worth a mend, as log lines go by its own clock


def now(db: Session) -> datetime:
    """The current time, not that of the transaction's start: a transaction may have waited for a lock."""
    with db.no_autoflush:  # callers read the clock while they fill in a row
        time: datetime = db.scalars(select(func.clock_timestamp(type_=UtcDateTime))).one()
        return time.astimezone(UTC)


def sqlite_clock_timestamp() -> str:
    """The current time as SQLite stores it."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def ago(time: datetime, at: datetime) -> str:
    """How long before `at` a time was, in its largest unit of which there are at least two."""
    seconds = max(int((at - time).total_seconds()), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"
