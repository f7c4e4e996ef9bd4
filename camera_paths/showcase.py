"""Showcase: looks around the front, half the swing to one side, to the other, and back; seamless when looped."""

import math

from camera_paths.path import Pose, register


@register("showcase", loops=True)
def showcase(
    t: float, *, amplitude: float = 60.0, easing: bool = True, rotate_y: float = 0.0, zoom: float = 1.0
) -> Pose:
    """Pose at normalised time `t` in [0, 1]: from `rotate_y` half the `amplitude` (degrees) to each side.

    With `easing` a sine, which is at rest at the turning points; without it a triangle wave of constant speed.
    """
    swing = math.sin(2 * math.pi * t) if easing else _triangle(t)
    return Pose(azimuth=rotate_y + amplitude / 2 * swing, radius=zoom)


def _triangle(t: float) -> float:
    """The triangle wave that meets the sine at all quarters: 0, 1, 0, -1, 0."""
    return 1 - abs((4 * t + 1) % 4 - 2)
