"""The camera's position and projection, as pure functions; needs no bpy.

Scene units: the subject's bounding sphere has radius 1 and stands above the ground z = 0, z up. Azimuth 0 looks at the
subject's front, which is Blender's -Y (glTF's +Z); positive azimuth moves the camera to its right, counter-clockwise
seen from above.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SENSOR_MM = 36.0  # along the frame's longer side, Blender's default


@dataclass(frozen=True)
class Lens:
    """Camera settings that are constant over a shot: `focal_length` in mm, the frame's `width` and `height` in pixels.

    `elevation` in degrees above the horizon; `target` is the height above the ground of the point in the middle of the
    frame, `distance` the camera's distance from it.
    """

    focal_length: float
    elevation: float
    distance: float
    target: float
    width: int
    height: int

    @classmethod
    def around_sphere(
        cls, focal_length: float, elevation: float, margin: float, target: float, width: int, height: int
    ) -> "Lens":
        """A lens for which the unit sphere around the target, times `margin`, just fits the frame's shorter side.

        A sphere of radius r seen from distance d fills the half angle asin(r / d).
        """
        lens = cls(focal_length, elevation, 1.0, target, width, height)
        half_angle = math.atan(min(width, height) / 2 / lens.pixels_per_unit)
        return replace(lens, distance=margin / math.sin(half_angle))

    @property
    def pixels_per_unit(self) -> float:
        """Pixels on the frame for one unit at distance one."""
        return self.focal_length / SENSOR_MM * max(self.width, self.height)


@dataclass(frozen=True)
class View:
    """The camera in one frame: its position, and its axes (right, up, back) as the columns of a 3x3 rotation."""

    lens: Lens
    position: Array
    axes: Array

    @property
    def projection(self) -> Array:
        """The 3x4 matrix that maps a world point (x, y, z, 1) to homogeneous pixels, x right and y down."""
        focal = self.lens.pixels_per_unit
        # The camera looks along -back, so depth is minus the third camera coordinate.
        intrinsics: Array = np.array(
            [[focal, 0.0, -self.lens.width / 2], [0.0, -focal, -self.lens.height / 2], [0.0, 0.0, -1.0]]
        )
        world_to_camera: Array = np.column_stack([self.axes.T, -self.axes.T @ self.position])
        matrix: Array = intrinsics @ world_to_camera
        return matrix

    @property
    def ground_to_pixel(self) -> Array:
        """The 3x3 homography from the ground z = 0 to pixels: the projection without its column for z."""
        return self.projection[:, [0, 1, 3]]

    def pixels(self, points: Array) -> Array:
        """Project points of shape (n, 3) to pixels of shape (n, 2)."""
        homogeneous = points @ self.projection[:, :3].T + self.projection[:, 3]
        flat: Array = homogeneous[:, :2] / homogeneous[:, 2:]
        return flat


def view(lens: Lens, azimuth: float, radius: float) -> View:
    """The camera at `azimuth` degrees, `radius` times the fitted distance away, looking at the target."""
    turn, tilt = math.radians(azimuth), math.radians(lens.elevation)
    back = np.array([math.sin(turn) * math.cos(tilt), -math.cos(turn) * math.cos(tilt), math.sin(tilt)])
    right = np.array([math.cos(turn), math.sin(turn), 0.0])
    target = np.array([0.0, 0.0, lens.target])
    return View(lens, target + lens.distance * radius * back, np.column_stack([right, np.cross(back, right), back]))


def mirrored(view: View) -> View:
    """The camera mirrored at the ground z = 0. Its picture is the ground's mirror image, upside down."""
    flip = np.array([1.0, 1.0, -1.0])
    right, back = view.axes[:, 0] * flip, view.axes[:, 2] * flip
    return View(view.lens, view.position * flip, np.column_stack([right, np.cross(back, right), back]))


def crop(view: View, points: Array, border: int) -> tuple[int, int, int, int]:
    """The box of the frame that `points` cover: left, top, right, bottom in pixels, right and bottom excluded.

    `border` pixels are added all around for the pixel filter; the result lies within the frame and is never empty.
    """
    width, height = view.lens.width, view.lens.height
    if (points @ view.projection[2, :3] + view.projection[2, 3]).min() <= 0:
        return 0, 0, width, height  # the camera is inside the subject: everything may be covered
    pixels = view.pixels(points)
    left, top = np.floor(pixels.min(axis=0)).astype(int) - border
    right, bottom = np.ceil(pixels.max(axis=0)).astype(int) + border
    left, top = min(max(int(left), 0), width - 1), min(max(int(top), 0), height - 1)
    return left, top, max(min(int(right), width), left + 1), max(min(int(bottom), height), top + 1)
