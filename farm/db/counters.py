"""What the farm counts for its operator, and every query about these counters.

They are written in the transaction of what they count, so that nothing counts twice and nothing that was rolled back
does, and no deleted render makes them smaller.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from farm.db.session import later
from farm.db.tables import Tally

MOST_ROWS = 1_000  # until the reaper adds them up

_ADD = insert(Tally)


@dataclass(frozen=True)
class Counter:
    """Something that is counted, apart by its labels."""

    name: str
    meaning: str
    labels: tuple[str, ...]

    def add(self, db: Session, amount: float = 1, **labels: str) -> None:
        """Count `amount` once this transaction is committed."""
        values = ",".join(labels[label] for label in self.labels)
        later(db, _ADD, {"name": self.name, "labels": values, "amount": amount})


@dataclass(frozen=True)
class Histogram(Counter):
    """How often a value was at most so large, for each of the `bounds`, and the sum of all."""

    bounds: tuple[float, ...]

    @property
    def bound_names(self) -> list[str]:
        return [*map(str, self.bounds), "+Inf"]

    @property
    def sum_name(self) -> str:
        return f"{self.name}_sum"

    def observe(self, db: Session, value: float, **labels: str) -> None:
        """Count `value` once this transaction is committed."""
        bound = next((str(bound) for bound in self.bounds if value <= bound), "+Inf")
        values = ",".join([*(labels[label] for label in self.labels), bound])
        counted = {self.name: 1, self.sum_name: value}
        for name, more in counted.items():
            later(db, _ADD, {"name": name, "labels": values, "amount": more})


FRAMES = Counter(
    "plinth_frames",
    "Frames of videos and views of datasets: drawn, or taken from the frame cache",
    ("tier", "engine", "source"),
)
DRAWING_SECONDS = Counter("plinth_drawing_seconds", "Seconds that chunks with drawn frames took", ("tier", "engine"))
ATTEMPTS_FAILED = Counter(
    "plinth_attempts_failed",
    "Attempts at chunks that failed, and whether the chunk is retried or ended",
    ("kind", "reason", "then"),
)
CREDITS = Counter("plinth_credits", "Credits by what became of them: grant, charge (taken) or refund", ("kind",))
RENDER_SECONDS = Histogram(
    "plinth_render_seconds",
    "Seconds from the order of a render to its end, done or error",
    ("tier", "status"),
    (5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 6 * 3600, 24 * 3600),
)
EVERY = (FRAMES, DRAWING_SECONDS, ATTEMPTS_FAILED, CREDITS, RENDER_SECONDS)


def totals(db: Session) -> Mapping[str, dict[tuple[str, ...], float]]:
    """What was counted so far: by name, and by the values of the labels."""
    found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    amount = func.sum(Tally.amount)
    for name, labels, total in db.execute(select(Tally.name, Tally.labels, amount).group_by(Tally.name, Tally.labels)):
        found[name][tuple(labels.split(","))] = total
    return found


def add_up(db: Session) -> None:
    """Make one row of many, once there are many. Who does it at the same time finds nothing left to add."""
    some = select(Tally.id).limit(MOST_ROWS)
    if (db.scalar(select(func.count()).select_from(some.subquery())) or 0) < MOST_ROWS:
        return
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for name, labels, amount in db.execute(delete(Tally).returning(Tally.name, Tally.labels, Tally.amount)):
        sums[name, labels] += amount
    db.add_all(Tally(name=name, labels=labels, amount=amount) for (name, labels), amount in sums.items())
