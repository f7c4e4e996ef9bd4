"""Every query about what the farm did over time: frames, waits, failures, stored files, in intervals of one length.

The times are in rows of attempts, renders and files: counters have none, as the reaper merges their rows.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Label, cast, extract, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from farm.db.retries import FAILED
from farm.db.tables import Asset, AttemptLog, Chunk, Model, Render


@dataclass(frozen=True)
class Intervals:
    """`number` intervals of `seconds` each, the last of which ends at `until`."""

    until: datetime
    seconds: int
    number: int

    @property
    def since(self) -> datetime:
        return self.until - timedelta(seconds=self.seconds * self.number)

    @property
    def starts(self) -> list[datetime]:
        return [self.since + timedelta(seconds=self.seconds * index) for index in range(self.number)]

    def of(self, column: Any) -> Label[int]:
        """The number of the interval in which a time is."""
        return ((cast(extract("epoch", column), BigInteger) - int(self.since.timestamp())) // self.seconds).label("at")

    def within(
        self, column: InstrumentedAttribute[datetime | None] | InstrumentedAttribute[datetime]
    ) -> ColumnElement[bool]:
        """Whether a time is in one of the intervals."""
        return column > self.since

    def filled(self, values: dict[int, float]) -> list[float]:
        """A value for each interval, 0 where there is none. What is right on an edge counts in the nearest one."""
        found = [0.0] * self.number
        for index, value in values.items():
            found[min(max(index, 0), self.number - 1)] += value
        return found


class Outcomes(NamedTuple):
    """Attempts of a node that have ended: with a finished chunk, or failed."""

    done: int
    failed: int


def outcomes_of_nodes(db: Session, since: datetime) -> dict[str, Outcomes]:
    """By the name of the node: how its attempts ended since a time."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    group = (AttemptLog.worker, AttemptLog.outcome)
    for worker, outcome, number in db.execute(
        select(*group, func.count()).where(AttemptLog.ended_at > since).group_by(*group)
    ):
        found[worker][outcome or ""] = number
    return {
        worker: Outcomes(numbers.get("finished", 0), sum(numbers.get(outcome, 0) for outcome in FAILED))
        for worker, numbers in found.items()
    }


def frames_of_nodes(db: Session, intervals: Intervals, names: Sequence[str] = ()) -> dict[str, list[float]]:
    """By the name of the node: frames a second, by the end of the chunks that they are in; with `names`, of these."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    at = intervals.of(AttemptLog.ended_at)
    wanted = _frames(intervals, AttemptLog.worker, at)
    if names:
        wanted = wanted.where(AttemptLog.worker.in_(names))
    for worker, index, frames in db.execute(wanted.group_by(AttemptLog.worker, "at")):
        found[worker][index] = int(frames) / intervals.seconds
    return {worker: intervals.filled(values) for worker, values in found.items()}


def frames(db: Session, intervals: Intervals) -> list[float]:
    """Frames a second of all nodes, by the end of the chunks that they are in."""
    rows = db.execute(_frames(intervals, intervals.of(AttemptLog.ended_at)).group_by("at"))
    return intervals.filled({index: int(number) / intervals.seconds for index, number in rows})


def _frames(intervals: Intervals, *columns: Any) -> Any:
    drawn = (intervals.within(AttemptLog.ended_at), AttemptLog.outcome == "finished", Chunk.kind == "draw")
    return select(*columns, func.sum(Chunk.frames)).join(Chunk, Chunk.id == AttemptLog.chunk_id).where(*drawn)


def waits(db: Session, intervals: Intervals) -> list[float]:
    """The mean seconds that chunks to draw waited for their first attempt, by its end."""
    seconds = cast(extract("epoch", AttemptLog.began_at), BigInteger) - cast(
        extract("epoch", Chunk.created_at), BigInteger
    )
    first = (AttemptLog.attempt == 1, AttemptLog.began_at.is_not(None), Chunk.kind == "draw")
    rows = db.execute(
        select(intervals.of(AttemptLog.ended_at), func.avg(seconds))
        .join(Chunk, Chunk.id == AttemptLog.chunk_id)
        .where(intervals.within(AttemptLog.ended_at), *first)
        .group_by("at")
    )
    return intervals.filled({index: max(float(mean), 0.0) for index, mean in rows})


def failures(db: Session, intervals: Intervals) -> list[float]:
    """The number of attempts that failed."""
    failed = (intervals.within(AttemptLog.ended_at), AttemptLog.outcome.in_(FAILED))
    rows = db.execute(select(intervals.of(AttemptLog.ended_at), func.count()).where(*failed).group_by("at"))
    return intervals.filled(dict(rows.tuples().all()))


def stored(db: Session, intervals: Intervals) -> list[float]:
    """The bytes that were added to storage and are still there: files of renders and of models."""
    found: dict[int, float] = defaultdict(float)
    for table, size in ((Asset, Asset.size), (Model, Model.file_size)):
        wanted = select(intervals.of(table.created_at), func.sum(size)).where(intervals.within(table.created_at))
        if table is Model:
            wanted = wanted.where(Model.has_file)
        for index, number in db.execute(wanted.group_by("at")):
            found[index] += int(number)
    return intervals.filled(found)


def ended_renders(db: Session, since: datetime) -> dict[str, int]:
    """The number of renders that ended since a time, by status."""
    over = (Render.updated_at > since, Render.status.in_(("done", "error")))
    return dict(db.execute(select(Render.status, func.count()).where(*over).group_by(Render.status)).tuples().all())
