"""The floor's mirror image of the subject: the view of a camera mirrored at the ground, flipped, fading with height.

The image of a point in the plane z = 0 appears where the mirrored camera sees the point itself. So the subject needs no
copy and the floor no material: the subject is drawn a second time from below, and the picture is flipped.
"""

from pathlib import Path

import numpy as np

from farm.blender import pixels
from farm.blender.film import Plane, render_passes, stacked, to_display
from farm.blender.guides import Guides, render_denoised
from farm.blender.sets import hidden
from farm.blender.stage import Stage
from farm.blender.unlit import Unlit
from farm.scene import edges
from farm.scene.camera import Array, View, crop, mirrored
from farm.scene.shot import Layer

BORDER_PIXELS = 2  # that the pixel filter adds around the subject
BLUR = 0.15  # radius of a point's blur at roughness 1, as a share of its height above the floor


def draw_reflection(
    stage: Stage, camera: View, points: Array, path: Path, guides: Guides | None, unlit: Unlit | None
) -> Layer:
    """Draw the mirror image of the subject, without the set, into `path`."""
    ground, below = stage.ground, mirrored(camera)
    fade = float(ground["reflector_fade"])
    reach = BLUR * float(ground["reflector_roughness"]) * fade * camera.lens.pixels_per_unit / camera.lens.distance
    box = crop(below, points, BORDER_PIXELS + round(2 * reach))
    with hidden(stage.seen_set):
        if guides:
            drawn, passes = render_denoised(stage, guides, below, box, path.parent)
        else:
            passes = render_passes(stage, below, box, path.parent)
            drawn = to_display(stacked(passes, "Combined", "RGB"), passes["Combined.A"], path.parent)
        if unlit:
            unlit.expose(drawn, below, box, path.parent)
    world = stacked(passes, "Position", "XYZ")
    full = np.iinfo(drawn.dtype).max
    colours = drawn.astype(np.float32) / full
    colours[..., :3] *= colours[..., 3:]
    image = fade_out(colours, world, fade=fade, strength=float(ground["reflector_strength"]), reach=reach)
    image[..., :3] /= np.maximum(image[..., 3:], 1e-6)
    left, right, top, bottom = box[0], box[2], camera.lens.height - box[3], camera.lens.height - box[1]
    flipped = image[::-1]
    flipped[..., 3] *= edges.fade(left, top, right, bottom, camera.lens.width, camera.lens.height)
    whole = np.rint(np.clip(flipped, 0, 1) * full).astype(drawn.dtype)
    return pixels.write(np.ascontiguousarray(whole), path, left, top)


def fade_out(colours: Plane, world: Plane, *, fade: float, strength: float, reach: float) -> Plane:
    """Scale premultiplied RGBA from `strength` at the ground to 0 at the height `fade`, blurred with height.

    `world` holds the world position that each pixel shows, zero where it shows none; both have shape (height, width,
    ...). `reach` is the blur's radius in pixels at the height `fade`.
    """
    known = world.any(axis=-1, keepdims=True).astype(np.float32)
    height = world[..., 2:3] * known
    # The silhouette's outermost pixels have some colour but no position: they use their neighbours' height.
    around = max(2 * reach, BORDER_PIXELS)
    beside = blur(height, around) / np.maximum(blur(known, around), 1e-6)
    share = np.clip(np.where(known > 0, height, beside) / fade, 0, 1)
    faded = colours * (strength * (1 - share) ** 2)
    image: Plane = faded + (blur(faded, reach) - faded) * share
    return image


def blur(plane: Plane, reach: float) -> Plane:
    """Blur by three running means of `reach` pixels to each side, an approximation of a Gaussian."""
    radius = round(reach)
    if radius < 1:
        return plane
    for axis in (0, 1):
        for _ in range(3):
            padding = [(radius + 1, radius) if along == axis else (0, 0) for along in range(plane.ndim)]
            sums = np.cumsum(np.pad(plane, padding), axis=axis, dtype=np.float64)
            count = plane.shape[axis]
            ends, starts = np.arange(count) + 2 * radius + 1, np.arange(count)
            means = (np.take(sums, ends, axis) - np.take(sums, starts, axis)) / (2 * radius + 1)
            plane = means.astype(np.float32)
    return plane
