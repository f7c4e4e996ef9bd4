"""Zoom orbit: one full turn while the camera comes closer, or draws back."""

from camera_paths.path import Pose, register


@register("zoom-orbit", loops=False)
def zoom_orbit(
    t: float,
    *,
    zoom_start: float = 1.0,
    zoom_end: float = 0.7,
    easing: bool = True,
    rotate_y: float = 0.0,
    zoom: float = 1.0,
) -> Pose:
    """Pose at normalised time `t` in [0, 1]: 360 degrees from `rotate_y`, the radius from `zoom_start` to `zoom_end`.

    Both are multiplied by `zoom`. With `easing` the travelled fraction is the smoothstep t*t*(3 - 2*t), at rest at both
    ends; without it t itself.
    """
    travelled = t * t * (3 - 2 * t) if easing else t
    radius = zoom_start + (zoom_end - zoom_start) * travelled
    return Pose(azimuth=rotate_y + 360.0 * travelled, radius=zoom * radius)
