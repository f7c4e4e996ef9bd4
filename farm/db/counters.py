"""Counters and histograms for the operator, and every query about them.

They are written in the transaction of the event that they count: no event is counted twice, one that is rolled back is
not counted, and deleting a render decreases none of them.
"""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from farm.db.tables import CounterIncrement

MERGE_AT_ROWS = 1_000  # the reaper merges increments once there are this many

Labels = tuple[str, ...]  # values, in the order of the counter's labels


@dataclass(frozen=True)
class Counter:
    """A number of events, by label values."""

    name: str
    meaning: str
    labels: tuple[str, ...]

    def add(self, db: Session, amount: float = 1, **labels: str) -> None:
        """Count `amount` once this transaction is committed."""
        _add(db, self.name, amount, {label: labels[label] for label in self.labels})

    def totals(self, db: Session) -> dict[Labels, float]:
        """The sum of all increments by label values."""
        return _totals(db, self.name, self.labels)


@dataclass(frozen=True)
class Histogram:
    """How many observed values are at most as large as each of the `bounds`, and the sum of all, by label values."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]

    @property
    def bound_names(self) -> list[str]:
        """The values of Prometheus' label `le`, ascending."""
        return [*map(str, self.bounds), "+Inf"]

    def observe(self, db: Session, value: float, **labels: str) -> None:
        """Count `value` once this transaction is committed."""
        values = {label: labels[label] for label in self.labels}
        bound = next((str(bound) for bound in self.bounds if value <= bound), "+Inf")
        _add(db, f"{self.name}_bucket", 1, {**values, "le": bound})
        _add(db, f"{self.name}_sum", value, values)

    def buckets(self, db: Session) -> dict[Labels, dict[str, float]]:
        """By label values: how many observations fell between the bound before and this one, by the bound's name."""
        found: dict[Labels, dict[str, float]] = defaultdict(dict)
        for (*values, bound), number in _totals(db, f"{self.name}_bucket", (*self.labels, "le")).items():
            found[tuple(values)][bound] = number
        return found

    def sums(self, db: Session) -> dict[Labels, float]:
        """The sum of all observed values by label values."""
        return _totals(db, f"{self.name}_sum", self.labels)


FRAMES = Counter(
    "plinth_frames",
    "Frames of videos and views of datasets: drawn, or read from the frame cache",
    ("tier", "engine", "source", "node"),
)
DRAWING_SECONDS = Counter(
    "plinth_drawing_seconds", "Seconds spent on chunks with drawn frames", ("tier", "engine", "node")
)
ATTEMPTS_FAILED = Counter(
    "plinth_attempts_failed",
    "Failed attempts at chunks, and whether the chunk is retried or ended",
    ("kind", "reason", "then", "node"),
)
CREDITS = Counter("plinth_credits", "Credits by kind of transaction: grant, take, charge or refund", ("kind",))
PURGED = Counter("plinth_purged", "Rows removed by the reaper: renders, models, overlays", ("what",))
RENDER_SECONDS = Histogram(
    "plinth_render_seconds",
    "Seconds from the order of a render to its end, done or error",
    ("tier", "status"),
    (5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 6 * 3600, 24 * 3600),
)
REAPER_FAILURES = Counter(
    "plinth_reaper_failures",
    "Leases, shots, files and other things that the reaper could not deal with, once for each time that it tried",
    ("what",),
)
COUNTERS = (FRAMES, DRAWING_SECONDS, ATTEMPTS_FAILED, CREDITS, PURGED, REAPER_FAILURES)
HISTOGRAMS = (RENDER_SECONDS,)


def merge(db: Session) -> None:
    """Replace many increments by one per counter and label values. A concurrent merge finds no rows left."""
    some = select(CounterIncrement.id).limit(MERGE_AT_ROWS)
    if (db.scalar(select(func.count()).select_from(some.subquery())) or 0) < MERGE_AT_ROWS:
        return
    sums: dict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)
    deleted = delete(CounterIncrement).returning(
        CounterIncrement.name, CounterIncrement.labels, CounterIncrement.amount
    )
    for name, labels, amount in db.execute(deleted):
        sums[name, tuple(labels.items())] += amount
    db.add_all(
        CounterIncrement(name=name, labels=dict(labels), amount=amount) for (name, labels), amount in sums.items()
    )


def _add(db: Session, name: str, amount: float, labels: dict[str, str]) -> None:
    db.add(CounterIncrement(name=name, labels=labels, amount=amount))


def _totals(db: Session, name: str, labels: tuple[str, ...]) -> dict[Labels, float]:
    values, total = CounterIncrement.labels, func.sum(CounterIncrement.amount)
    rows = db.execute(select(values, total).where(CounterIncrement.name == name).group_by(values))
    return {tuple(found[label] for label in labels): amount for found, amount in rows}
