"""The page of charts: frames a second, waits, failures and stored files of the last day or week."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.dependencies import FarmDep
from api.operator.access import OperatorDep
from api.operator.charts import Chart, duration
from api.portal import pages
from api.portal.visitors import PortalRoute
from farm import metrics
from farm.db import clock, history
from farm.db.history import Intervals

router = APIRouter(route_class=PortalRoute)

SPANS = {"day": ("24 hours", 1800, 48), "week": ("7 days", 4 * 3600, 42)}  # seconds and number of the intervals


@dataclass(frozen=True)
class Figure:
    """A chart with its words: the total or mean of the values, in a unit, and each value as text."""

    title: str
    summary: str
    chart: Chart
    has_bars: bool
    starts: Sequence[datetime]
    text: Callable[[float], str]

    @property
    def words(self) -> str:
        """The chart for those who do not see it."""
        largest = max(self.chart.values)
        return (
            f"{self.title}: {self.summary}; at most {self.text(largest)}, at the end {self.text(self.chart.values[-1])}"
        )

    @property
    def rows(self) -> list[tuple[datetime, str]]:
        return [(start, self.text(value)) for start, value in zip(self.starts, self.chart.values, strict=True)]


@router.get("/charts")
def get_charts(request: Request, _: OperatorDep, farm: FarmDep) -> Response:
    """The charts, and totals of the same time."""
    chosen = request.query_params.get("span", "")
    chosen = chosen if chosen in SPANS else "day"
    _label, seconds, number = SPANS[chosen]
    with farm.database.read() as db:
        intervals = Intervals(clock.now(db), seconds, number)
        figures = _figures(db, intervals, metrics.stored_bytes(db, farm.redis))
        ended = history.ended_renders(db, intervals.since)
    return pages.page(
        request,
        "operator/charts.html",
        figures=figures,
        ended=ended,
        intervals=intervals,
        spans={name: label for name, (label, _, _) in SPANS.items()},
        chosen=chosen,
    )


def _figures(db: Session, intervals: Intervals, stored_bytes: dict[str, int]) -> list[Figure]:
    frames, waits = history.frames(db, intervals), history.waits(db, intervals)
    failures, stored = history.failures(db, intervals), history.stored(db, intervals)
    mean = sum(frames) / len(frames)
    busy = [wait for wait in waits if wait]
    wait = sum(busy) / len(busy) if busy else 0.0
    total = sum(stored_bytes.values())
    starts = intervals.starts
    return [
        Figure("Frames a second", f"{_rate(mean)} on average", Chart(frames), False, starts, _rate),
        Figure("Wait for a node", f"{duration(wait)} on average", Chart(waits), False, starts, duration),
        Figure("Failed attempts", f"{sum(failures):.0f} in all", Chart(failures), True, starts, lambda v: f"{v:.0f}"),
        Figure(
            "Files stored",
            f"{pages.size(total)} in all, {pages.size(int(sum(stored)))} new",
            Chart(stored),
            True,
            starts,
            lambda value: pages.size(int(value)),
        ),
    ]


def _rate(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
