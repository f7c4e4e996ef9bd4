"""The floor's mirror image of the subject: what a camera mirrored at the ground sees, upside down, fading with height.

A point's image in the plane z = 0 appears where the mirrored camera sees the point itself. So the subject needs no
second copy and the floor no material: it is drawn once more from below, and the picture is turned over.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from farm.blender import pixels
from farm.blender.film import photograph, read_exr
from farm.blender.stage import Stage
from farm.scene.camera import Array, View, crop, mirrored
from farm.scene.shot import Layer

Plane = NDArray[np.float32]
BORDER = 2  # pixels that the pixel filter adds around the subject
BLUR = 0.15  # by how much of its height above a floor of roughness 1 a point's image is smeared


def draw_reflection(stage: Stage, now: View, points: Array, path: Path) -> Layer:
    """Draw the mirror image into `path`."""
    ground, below = stage.ground, mirrored(now)
    fade = float(ground["reflector_fade"])
    reach = BLUR * float(ground["reflector_roughness"]) * fade * now.lens.pixels_per_unit / now.lens.distance
    left, top, right, bottom = crop(below, points, BORDER + round(2 * reach))
    with _recorded_positions(path.parent) as positions:
        drawn = photograph(stage, below, (left, top, right, bottom), path.parent)
        where = positions()
    full = np.iinfo(drawn.dtype).max
    colours = drawn.astype(np.float32) / full
    colours[..., :3] *= colours[..., 3:]
    image = fade_out(colours, where, fade=fade, strength=float(ground["reflector_strength"]), reach=reach)
    image[..., :3] /= np.maximum(image[..., 3:], 1e-6)
    turned = np.rint(np.clip(image[::-1], 0, 1) * full).astype(drawn.dtype)
    return pixels.write(np.ascontiguousarray(turned), path, left, now.lens.height - bottom)


def fade_out(colours: Plane, where: Plane, *, fade: float, strength: float, reach: float) -> Plane:
    """Premultiplied RGBA that is `strength` at the ground and nothing at the height `fade`, smeared by up to `reach`.

    `where` holds the world position that each pixel shows, zero where it shows none; both have shape (height, width,
    ...). `reach` is in pixels.
    """
    known = where[..., :3].any(axis=-1, keepdims=True).astype(np.float32)
    height = where[..., 2:3] * known
    # The silhouette's outermost pixels hold a little colour but no position: they take their neighbours' height.
    around = max(2 * reach, BORDER)
    beside = smear(height, around) / np.maximum(smear(known, around), 1e-6)
    share = np.clip(np.where(known > 0, height, beside) / fade, 0, 1)
    faded = colours * (strength * (1 - share) ** 2)
    image: Plane = faded + (smear(faded, reach) - faded) * share
    return image


def smear(plane: Plane, reach: float) -> Plane:
    """Blur by three running means of `reach` pixels to each side, which together are nearly a Gaussian."""
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


@contextmanager
def _recorded_positions(folder: Path) -> Iterator[Callable[[], Plane]]:
    """While it lasts, an exposure also records the world position that each pixel shows; yields what reads them."""
    scene = bpy.context.scene
    scene.use_nodes = scene.render.use_compositing = True
    nodes = scene.node_tree.nodes
    nodes.clear()
    layers, composite = nodes.new("CompositorNodeRLayers"), nodes.new("CompositorNodeComposite")
    record = nodes.new("CompositorNodeOutputFile")
    record.base_path = str(folder)
    record.format.file_format, record.format.color_mode, record.format.color_depth = "OPEN_EXR", "RGB", "32"
    record.file_slots[0].path = "positions-"
    scene.node_tree.links.new(layers.outputs["Image"], composite.inputs["Image"])
    scene.node_tree.links.new(layers.outputs["Position"], record.inputs[0])

    def read() -> Plane:
        [file] = folder.glob("positions-*")
        try:
            return read_exr(file)
        finally:
            file.unlink()

    try:
        yield read
    finally:
        scene.render.use_compositing = False
