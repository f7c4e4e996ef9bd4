"""Charts of the movement over time: azimuth, distance and, if it changes, size."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from camera_paths import Pose
from farm.path_sheet.canvas import HAIRLINE, SOFT, WHITE, Canvas, time_colour
from farm.path_sheet.samples import Sample, degrees

HEAD, GAP = 34, 34  # above each chart's frame, and between charts
AXIS = 60  # left of each chart's frame, for the numbers
ANGLES = (5.0, 15.0, 30.0, 45.0, 90.0, 180.0, 360.0)
NUMBERS = (0.2, 0.25, 0.5, 1.0, 2.0)
SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)


@dataclass(frozen=True)
class Quantity:
    """A charted quantity: title, value in a pose, format of values, minimum span of the axis, possible tick steps."""

    title: str
    of: Callable[[Pose], float]
    write: Callable[[float], str]
    span: float
    steps: Sequence[float]


AZIMUTH = Quantity("Azimuth", lambda pose: pose.azimuth, degrees, 20.0, ANGLES)
DISTANCE = Quantity("Distance", lambda pose: pose.radius, lambda value: f"{value:.2f}", 0.4, NUMBERS)
SIZE = Quantity("Size of the subject", lambda pose: pose.scale, lambda value: f"{value:.2f}", 0.4, NUMBERS)


def draw_charts(
    canvas: Canvas,
    curve: Sequence[Pose],
    samples: Sequence[Sample],
    seconds: float,
    *,
    left: float,
    right: float,
    top: float,
    bottom: float,
) -> None:
    """Draw the charts one below the other. `curve` is the whole movement in equal steps of time."""
    grows = any(pose.scale != curve[0].scale for pose in curve)
    shown = [AZIMUTH, DISTANCE, SIZE] if grows else [AZIMUTH, DISTANCE]
    shares = [1.0 if quantity is AZIMUTH else 0.6 for quantity in shown]
    unit = (bottom - top - len(shown) * HEAD - (len(shown) - 1) * GAP) / sum(shares)
    for quantity, share in zip(shown, shares, strict=True):
        frame = _Frame(left + AXIS, right, top + HEAD, top + HEAD + unit * share)
        canvas.text((left, top + 12), quantity.title, 19)
        _chart(canvas, frame, quantity, curve, samples)
        top = frame.bottom + GAP
    step = tick_step(seconds, SECONDS, 8)
    for tick in range(int(seconds / step + 1e-9) + 1):
        x = frame.x(tick * step / seconds)
        canvas.text((x, bottom + 24), f"{tick * step:g} s", 15, SOFT, "ms")


@dataclass(frozen=True)
class _Frame:
    left: float
    right: float
    top: float
    bottom: float

    def x(self, t: float) -> float:
        return self.left + t * (self.right - self.left)


def _chart(canvas: Canvas, frame: _Frame, quantity: Quantity, curve: Sequence[Pose], samples: Sequence[Sample]) -> None:
    values = [quantity.of(pose) for pose in curve]
    low, high, step = axis(min(values), max(values), quantity)

    def y(value: float) -> float:
        return frame.bottom - (value - low) / (high - low) * (frame.bottom - frame.top)

    for tick in range(round((high - low) / step) + 1):
        value = low + tick * step
        canvas.line([(frame.left, y(value)), (frame.right, y(value))], HAIRLINE)
        canvas.text((frame.left - 12, y(value)), quantity.write(value), 15, SOFT, "rm")
    for sample in samples:
        canvas.dashes((frame.x(sample.t), frame.top), (frame.x(sample.t), frame.bottom), HAIRLINE, 3)
    canvas.trace([(frame.x(step / (len(values) - 1)), y(value)) for step, value in enumerate(values)], 3)
    for sample in samples:
        canvas.dot((frame.x(sample.t), y(quantity.of(sample.pose))), 6, time_colour(sample.t), WHITE, 2)


def axis(low: float, high: float, quantity: Quantity) -> tuple[float, float, float]:
    """Round ends and the tick step of an axis from `low` to `high` with at least the quantity's span."""
    missing = max(quantity.span - (high - low), 0.0)
    low, high = low - missing / 2, high + missing / 2
    step = tick_step(high - low, quantity.steps, 4)
    return math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step, step


def tick_step(length: float, steps: Sequence[float], max_ticks: int) -> float:
    """The smallest step that divides `length` into at most `max_ticks` parts."""
    return next((step for step in steps if length / step <= max_ticks), steps[-1])
