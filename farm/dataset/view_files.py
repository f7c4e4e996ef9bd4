"""A view's files: PNGs, depths and surface points, made from Blender's renders of the view."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard
from numpy.typing import NDArray
from PIL import Image

from farm.dataset import points
from farm.dataset.depth import Depths, Mask, Range
from farm.scene import exr
from farm.scene.camera import Array
from farm.scene.drawn_view import DrawnView
from farm.scene.shot import Frame
from farm.video import layers
from farm.video.backgrounds import plain
from farm.video.composite import Compositor
from farm.video.layers import Box

WHITE = 255, 255, 255
NEARLY_WHITE = 254
HALF_OPAQUE = 128  # of 255
NO_HIT_DEPTH = 1e9  # Cycles returns 1e10 where no surface is
NO_NORMAL = 128  # the normal's level where no surface is: it decodes to no direction


@dataclass(frozen=True)
class DevelopedView:
    """The pixels of a view: `picture` and `normals` of shape (side, side, 3), `depths` and `mask` (side, side).

    `rgba`, of shape (side, side, 4), is the picture without its background, with straight alpha.
    """

    picture: NDArray[np.uint8]
    rgba: NDArray[np.uint8]
    normals: NDArray[np.uint8]
    depths: Depths
    mask: Mask

    @property
    def silhouette(self) -> NDArray[np.uint8]:
        """The mask as grey levels: 255 where the subject is, else 0."""
        return np.where(self.mask, np.uint8(255), np.uint8(0))

    @property
    def range(self) -> Range | None:
        """The depth range of the foreground; None when there is no foreground."""
        seen = self.depths[self.mask]
        return Range(float(seen.min()), float(seen.max())) if seen.size else None


class Developer:
    """Converts the host's renders into views; all are squares of `side` pixels."""

    def __init__(self, side: int) -> None:
        self._side = side
        self._compositor = Compositor(plain(WHITE, side, side), vignette=0.0)

    def develop(self, drawn: DrawnView) -> DevelopedView:
        """The view on the whole square; the background is white and has no depth."""
        picture = self._compositor.over(Frame(drawn.number, 8, drawn.subject, None, None, ())).copy()
        rgba = np.zeros((self._side, self._side, 4), np.uint8)
        rgba[Box.of(drawn.subject).slices] = layers.read(drawn.subject, 8)
        channels = exr.read(Path(drawn.passes.path))
        box = Box.of(drawn.passes).slices
        square = self._side, self._side
        depths, mask = np.zeros(square, np.float32), np.zeros(square, np.bool_)
        mask[box] = (channels["Combined.A"] > 0.5) & (channels["Depth.Z"] < NO_HIT_DEPTH)
        depths[box] = channels["Depth.Z"]
        normals = np.full((*square, 3), NO_NORMAL, np.uint8)
        seen = mask[box]
        directions = np.stack([channels[f"Normal.{axis}"][seen] for axis in "XYZ"], axis=-1)
        normals[box][seen] = np.rint((directions * 0.5 + 0.5) * 255)
        darken_white(picture, mask | (rgba[..., 3] >= HALF_OPAQUE))
        return DevelopedView(picture, rgba, normals, depths, mask)


def darken_white(picture: NDArray[np.uint8], surface: Mask) -> None:
    """Make white pixels of the surface the next darker grey, in place: `white_transparent` makes white transparent."""
    picture[surface & (picture == 255).all(axis=-1)] = NEARLY_WHITE


def png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """A PNG of 8-bit RGB or RGBA, or of 8- or 16-bit grey."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=4)
    return file.getvalue()


def pack_depths(view: DevelopedView) -> bytes:
    """The foreground's exact depths, row by row, compressed: kept until the range of all views is known."""
    return zstandard.compress(view.depths[view.mask].astype("<f4").tobytes(), 1)


def unpack_depths(packed: bytes, mask: Mask) -> Depths:
    """The inverse of `pack_depths`: depths of shape (height, width), 0 outside the mask."""
    depths = np.zeros(mask.shape, np.float32)
    depths[mask] = np.frombuffer(zstandard.decompress(packed), "<f4")
    return depths


def sample_points(view: DevelopedView, number: int, pose: Array, views: int) -> bytes:
    """The view's share of the sparse point cloud, as bytes of a PLY file."""
    count = -(-points.MAX_POINTS // views)
    return points.sample(view.picture, view.depths, view.mask, pose, count=count, seed=number).tobytes()
