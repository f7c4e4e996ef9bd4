"""The timeline of a render: when each of its chunks waited, and when which node worked on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from farm.db.tables import AttemptLog, Chunk

WIDTH = 1000.0  # units; the chart is stretched to the width of its page
MIN_WIDTH = 3.0  # of a bar: the shortest attempt is visible


@dataclass(frozen=True)
class Bar:
    """A part of a chunk's row: `kind` is waiting, running, or how the attempt ended."""

    x: float
    width: float
    kind: str
    node: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """A chunk with its bars."""

    chunk: Chunk
    bars: list[Bar]

    @property
    def nodes(self) -> list[str]:
        """The nodes that have worked on it, in their order."""
        return list(dict.fromkeys(bar.node for bar in self.bars if bar.node))


@dataclass(frozen=True)
class Timeline:
    """The rows of a render's chunks, on an axis from the order to the end of the last attempt, or to now."""

    start: datetime
    end: datetime
    rows: list[Row]

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    @classmethod
    def of(cls, parts: Sequence[tuple[Chunk, list[AttemptLog]]], ordered_at: datetime, at: datetime) -> "Timeline":
        """The timeline of chunks with their attempts at the time `at`."""
        is_over = all(chunk.state in ("done", "failed") for chunk, _ in parts)
        starts = [chunk.created_at for chunk, _ in parts]  # later than the order if it was queued again
        ends = [entry.ended_at for _, entries in parts for entry in entries if entry.ended_at]
        start = min(starts, default=ordered_at)
        end = max(ends, default=at) if is_over else at
        timeline = cls(start, max(end, start + timedelta(seconds=1)), [])
        timeline.rows.extend(Row(chunk, timeline._bars(chunk, entries)) for chunk, entries in parts)
        return timeline

    def _bars(self, chunk: Chunk, entries: list[AttemptLog]) -> list[Bar]:
        bars, since = [], chunk.created_at
        worked = [(entry.began_at, entry.ended_at, entry.outcome, entry.worker) for entry in entries if entry.ended_at]
        if chunk.state == "running":
            worked.append((chunk.claimed_at, self.end, "running", chunk.worker or ""))
        for began_at, ended_at, kind, node in worked:
            if began_at and ended_at:
                bars += [self._bar(since, began_at, "waiting", ""), self._bar(began_at, ended_at, kind or "", node)]
                since = ended_at
        if chunk.state == "queued":
            bars.append(self._bar(since, self.end, "waiting", ""))
        return [bar for bar in bars if bar.node or bar.seconds > 0]

    def _bar(self, start: datetime, end: datetime, kind: str, node: str) -> Bar:
        seconds = max((end - start).total_seconds(), 0.0)
        x = max((start - self.start).total_seconds(), 0.0) / self.seconds * WIDTH
        width = seconds / self.seconds * WIDTH
        return Bar(
            round(min(x, WIDTH - MIN_WIDTH), 1), round(max(width, MIN_WIDTH if node else 0.0), 1), kind, node, seconds
        )
