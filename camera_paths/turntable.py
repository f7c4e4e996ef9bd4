"""Turntable: one full turn around the subject, seamless when looped."""

import math

from camera_paths.path import Pose, register


@register("turntable", loops=True)
def turntable(t: float, *, easing: bool = True, rotate_y: float = 0.0, zoom: float = 1.0) -> Pose:
    """Pose at normalised time `t` in [0, 1].

    `rotate_y` is the starting azimuth in degrees, `zoom` multiplies the camera distance. With `easing` the travelled
    fraction is t - k*sin(2*pi*t)/(2*pi): its speed, 1 - k*cos(2*pi*t), is always positive (k < 1), slowest at
    the front and periodic with all its derivatives, so the loop has no seam. k = 0.6 was chosen by eye.
    """
    travelled = t - 0.6 * math.sin(2 * math.pi * t) / (2 * math.pi) if easing else t
    return Pose(azimuth=rotate_y + 360.0 * travelled, radius=zoom)
