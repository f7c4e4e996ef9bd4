"""Charts as inline SVG: the paths of values over equal intervals, and what a chart says in words.

A chart is drawn in units: STEP for an interval, HEIGHT for the largest value. Its SVG is stretched to the page's width,
so it has no text; labels are HTML beside it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEP, HEIGHT = 10, 100


@dataclass(frozen=True)
class Chart:
    """Values, one for each interval, at least one; none is negative."""

    values: Sequence[float]

    @property
    def top(self) -> float:
        """The value at the chart's upper edge: the largest, rounded up to 1, 2, 2.5 or 5 times a power of ten."""
        largest = max(self.values, default=0.0)
        if largest <= 0:
            return 1.0
        power = 10.0 ** math.floor(math.log10(largest))
        return next((step * power for step in (1, 2, 2.5, 5) if step * power >= largest), 10 * power)

    @property
    def width(self) -> int:
        return STEP * len(self.values)

    @property
    def line(self) -> str:
        """The path through the middle of all intervals, level at its ends."""
        points = [f"{STEP * index + STEP / 2:g},{self._y(value):g}" for index, value in enumerate(self.values)]
        return f"M0,{self._y(self.values[0]):g} L{' L'.join(points)} H{self.width}"

    @property
    def area(self) -> str:
        """The path of the surface under the line."""
        return f"{self.line} V{HEIGHT} H0 Z"

    @property
    def bars(self) -> list[tuple[float, float]]:
        """The y and the height of each interval's bar."""
        return [(self._y(value), HEIGHT - self._y(value)) for value in self.values]

    @property
    def is_empty(self) -> bool:
        return not any(self.values)

    def _y(self, value: float) -> float:
        return round(HEIGHT - HEIGHT * value / self.top, 2)


def duration(seconds: float) -> str:
    """A length of time as people read it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
