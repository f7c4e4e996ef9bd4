"""Hero spin: a fast spin that slows down and comes to rest facing front."""

from camera_paths.path import Pose, register


@register("hero-spin", loops=False)
def hero_spin(
    t: float,
    *,
    sweep_angle: float = 540.0,
    ease_out_ratio: float = 0.6,
    easing: bool = True,
    rotate_y: float = 0.0,
    zoom: float = 1.0,
) -> Pose:
    """Pose at normalised time `t` in [0, 1], ending exactly at `rotate_y` after `sweep_angle` degrees.

    Constant angular speed v until 1 - r, then constant deceleration to rest, with r = `ease_out_ratio`. The remaining
    fraction is 1 - v*t, and in the last part v*(1 - t)**2 / (2*r); v = 1 / (1 - r/2) makes both equal at
    the joint, in value and in speed. Without `easing`, as with a ratio of 0, it does not slow down.
    """
    ratio = ease_out_ratio if easing else 0.0
    speed = 1 / (1 - ratio / 2)
    left = speed * (1 - t) ** 2 / (2 * ratio) if 1 - t < ratio else 1 - speed * t
    return Pose(azimuth=rotate_y - sweep_angle * left, radius=zoom)
