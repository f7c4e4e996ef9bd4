"""The database's clock: the only one by which leases, heartbeats and due times are set and judged.

The clocks of the machines may be off by hours. With SQLite, which is a library, it is the clock of the one machine.
"""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

MAX_CLOCK_OFFSET_SECONDS = 2.0  # of a machine: more is worth a mend, as keys and log lines go by its own clock


def now(db: Session) -> datetime:
    """The current time, not that of the transaction's start: a transaction may have waited for a lock."""
    with db.no_autoflush:  # callers read the clock while they fill in a row
        if db.get_bind().dialect.name == "sqlite":
            text: str = db.scalars(select(func.strftime("%Y-%m-%dT%H:%M:%fZ", "now"))).one()
            return datetime.fromisoformat(text)
        time: datetime = db.scalars(select(func.clock_timestamp())).one()
        return time.astimezone(UTC)
