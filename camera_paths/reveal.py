"""Reveal: the subject grows to its full size while it turns to the front, and lands softly."""

from camera_paths.path import Pose, register

FIRST_VISIBLE_SCALE = 0.02  # a few pixels, so that the first frame is not empty


@register("reveal", loops=False)
def reveal(
    t: float,
    *,
    sweep_angle: float = 180.0,
    scale_from: float = 0.0,
    easing: bool = True,
    rotate_y: float = 0.0,
    zoom: float = 1.0,
) -> Pose:
    """Pose at normalised time `t` in [0, 1], ending exactly at `rotate_y` and at full size.

    Starts `sweep_angle` degrees earlier at the size `scale_from`, but at least FIRST_VISIBLE_SCALE. With `easing` the
    remaining fraction is (1 - t)**3: fast at first, with zero speed and deceleration at the end. Without it 1 - t.
    """
    left = (1 - t) ** 3 if easing else 1 - t
    start = max(scale_from, FIRST_VISIBLE_SCALE)
    return Pose(azimuth=rotate_y - sweep_angle * left, radius=zoom, scale=1 - (1 - start) * left)
