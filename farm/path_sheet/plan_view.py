"""The movement seen from above: the subject in the middle, its front down, and the camera's track around it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from camera_paths import Pose
from farm.path_sheet.canvas import HAIRLINE, INK, SOFT, WASH, WHITE, Canvas, Point, time_colour
from farm.path_sheet.samples import Sample, degrees

RING = 0.32  # radius of the camera's greatest distance, as a share of the panel's size
SUBJECT = 0.085  # radius of the subject, as a share of the panel's size
LABELLED = 0.15  # the same with its label
DRIFT = 0.36  # how far a track that overlaps itself moves inwards over time, as a share of the ring
TIME_DOTS = 48  # dots at equal intervals of time: the closer they are, the slower the camera
BADGE = 12.0  # radius in pixels
# A badge's candidate offsets from the track in pixels, outwards and inwards.
BADGE_OFFSETS = [sign * offset for offset in range(26, 130, 7) for sign in (1, -1)]
EDGE = 0.43  # greatest distance of a badge from the middle, as a share of the panel's size


@dataclass(frozen=True)
class Layout:
    """Positions in the panel: the track in equal steps of time, the samples on it, and their badges."""

    track: list[Point]
    samples: list[Point]
    badges: list[Point]
    is_spread: bool


def draw_plan(
    canvas: Canvas, curve: Sequence[Pose], samples: Sequence[Sample], *, left: float, top: float, size: float
) -> None:
    """Draw into a square panel. `curve` is the whole movement in equal steps of time."""
    centre = left + size / 2, top + size / 2
    plan = lay_out(curve, samples, centre, size)
    _draw_axes(canvas, centre, size)
    _draw_subject(canvas, centre, size, samples)
    canvas.trace(plan.track, 2.5)
    steps = len(curve) - 1
    for dot in range(TIME_DOTS + 1):
        step = round(dot * steps / TIME_DOTS)
        canvas.dot(plan.track[step], 3.6, time_colour(step / steps))
    for sample, here, badge in zip(samples, plan.samples, plan.badges, strict=True):
        canvas.line([here, badge], time_colour(sample.t), 1.2)
        canvas.dot(here, 6, time_colour(sample.t), WHITE, 2)
    for sample, badge in zip(samples, plan.badges, strict=True):
        canvas.badge(badge, sample.number, sample.t, BADGE)
    canvas.text((left, top + size + 8), "Seen from above, dots at equal intervals of time", 15, SOFT)
    if plan.is_spread:
        canvas.text((left, top + size + 30), "The track overlaps itself and is drawn further in over time", 15, SOFT)


def lay_out(curve: Sequence[Pose], samples: Sequence[Sample], centre: Point, size: float) -> Layout:
    """Lay out the track around `centre`, and the badges where they cover least, each other only if unavoidable."""
    farthest = max(pose.radius for pose in curve)
    spread = overlaps_itself(curve)
    steps = len(curve) - 1

    def position(pose: Pose, t: float, beyond: float = 0.0) -> Point:
        away = pose.radius / farthest * RING * size * (1 - spread * DRIFT * t) + beyond
        turn = math.radians(pose.azimuth)
        return centre[0] + math.sin(turn) * away, centre[1] + math.cos(turn) * away

    track = [position(pose, step / steps) for step, pose in enumerate(curve)]
    badges: list[Point] = []

    def cost(badge: Point) -> tuple[int, bool, int]:
        """The cost of a badge, worst first: other badges; the subject, or beyond the edge; the track."""
        away = math.dist(badge, centre)
        return (
            sum(math.dist(badge, other) < 2 * BADGE + 2 for other in badges),
            not LABELLED * size + BADGE < away < EDGE * size,
            sum(math.dist(badge, point) < BADGE + 4 for point in track),
        )

    for sample in samples:
        badges.append(min((position(sample.pose, sample.t, offset) for offset in BADGE_OFFSETS), key=cost))
    return Layout(track, [position(sample.pose, sample.t) for sample in samples], badges, spread)


def overlaps_itself(curve: Sequence[Pose]) -> bool:
    """Whether the camera revisits positions: it reverses, or makes more than one turn."""
    turns = [after.azimuth - before.azimuth for before, after in pairwise(curve)]
    back_and_forth = min(turns) < -1e-6 and max(turns) > 1e-6
    return back_and_forth or sum(map(abs, turns)) > 360 + 1e-6


def _draw_axes(canvas: Canvas, centre: Point, size: float) -> None:
    x, y = centre
    canvas.dot(centre, RING * size, None, HAIRLINE, 1)
    reach = size * 0.44
    for label, across, down in (("0°", 0, 1), ("90°", 1, 0), ("180°", 0, -1), (degrees(-90), -1, 0)):
        canvas.dashes(
            (x + across * SUBJECT * size * 1.9, y + down * SUBJECT * size * 1.9),
            (x + across * reach, y + down * reach),
            HAIRLINE,
        )
        canvas.text((x + across * (reach + 18), y + down * (reach + 12)), label, 15, SOFT, "mm")


def _draw_subject(canvas: Canvas, centre: Point, size: float, samples: Sequence[Sample]) -> None:
    """A disc with a nose to its front; where it grows, a ring for every sample's size."""
    (x, y), radius = centre, SUBJECT * size
    canvas.shape([(x - 13, y + radius - 4), (x + 13, y + radius - 4), (x, y + radius + 13)], INK)
    canvas.dot(centre, radius, WASH, INK, 2)
    for sample in samples:
        if 0 < sample.pose.scale < 1:
            canvas.dot(centre, radius * sample.pose.scale, None, time_colour(sample.t), 1.5)
    canvas.text((x, y + radius + 27), "front", 15, INK, "mm")
