"""The page of charts: frames a second, waits, failures and stored files of the last day or week."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.dependencies import FarmDep
from api.operator.charts import Chart, duration
from api.portal import pages
from api.portal.visitors import OperatorDep, PortalRoute
from farm import metrics
from farm.db import clock, history
from farm.db.history import Intervals

router = APIRouter(route_class=PortalRoute)

SPANS = {"day": ("24 hours", 1800, 48), "week": ("7 days", 4 * 3600, 42)}  # seconds and number of the intervals


@dataclass(frozen=True)
class Figure:
    """A chart with its words: a summary, and each value as text. It has a curve, or bars, or bars of what is bad."""

    title: str
    summary: str
    chart: Chart
    style: Literal["curve", "bar", "bad"]
    starts: Sequence[datetime]
    text: Callable[[float], str]

    @property
    def words(self) -> str:
        """The chart for those who do not see it."""
        largest, last = self.text(max(self.chart.values)), self.text(self.chart.values[-1])
        return f"{self.title}: {self.summary}; the largest value is {largest}, the last {last}"

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
    mean, total = sum(frames) / len(frames), sum(stored_bytes.values())
    starts = intervals.starts
    return [
        Figure("Frames a second", f"{_rate(mean)} on average", Chart(frames), "curve", starts, _rate),
        Figure("Wait for a node", f"{duration(waits[-1])} now", Chart(waits), "curve", starts, duration),
        Figure("Failed attempts", f"{_whole(sum(failures))} in all", Chart(failures), "bad", starts, _whole),
        Figure("Files stored", f"{_size(total)} in all, {_size(sum(stored))} new", Chart(stored), "bar", starts, _size),
    ]


def _whole(value: float) -> str:
    return pages.number(round(value))


def _size(value: float) -> str:
    return pages.size(round(value))


def _rate(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
