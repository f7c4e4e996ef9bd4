"""Hero spin: a fast spin that comes to rest facing front."""

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
    """Pose at normalised time `t` in [0, 1], ending at `rotate_y` after `sweep_angle` degrees.

    Constant angular speed v until 1 - r, then constant deceleration to rest, with r = `ease_out_ratio`: the travelled
    fraction is v*t, and from there on v*(t - (t - (1 - r))**2 / (2*r)); v = 1 / (1 - r/2) makes it 1 at t = 1. Position
    and velocity are continuous at the joint. Without `easing`, as with a ratio of 0, it does not slow down.
    """
    ratio = ease_out_ratio if easing else 0.0
    speed = 1 / (1 - ratio / 2)
    slowing = max(t - (1 - ratio), 0.0)
    travelled = speed * (t - slowing**2 / (2 * ratio)) if slowing else speed * t
    return Pose(azimuth=rotate_y + sweep_angle * (travelled - 1), radius=zoom)
