"""A dataset as a trainer reads it: from the ZIP only."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float64]
DIAMETER = 2.0  # of the bounding sphere, as documented in docs/datasets.md


@dataclass
class Dataset:
    """The content of the ZIP."""

    transforms: dict[str, Any]
    metadata: dict[str, Any]
    files: dict[str, bytes]

    @classmethod
    def read(cls, path: Path) -> "Dataset":
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        return cls(json.loads(files["transforms.json"]), json.loads(files["metadata/dataset.json"]), files)

    @property
    def views(self) -> range:
        return range(len(self.transforms["frames"]))

    def picture(self, folder: str, view: int) -> NDArray[Any]:
        """A view's PNG in one of the folders, as an array."""
        name = Path(self.transforms["frames"][view]["file_path"]).name
        return np.asarray(Image.open(io.BytesIO(self.files[f"{folder}/{name}"])))

    def mask(self, view: int) -> NDArray[np.bool_]:
        return np.asarray(self.picture("masks", view) > 127)

    def depth(self, view: int) -> Array:
        """Planar depth, decoded from 16 bits as documented."""
        near, far = self.transforms["depth_near"], self.transforms["depth_far"]
        depth: Array = self.picture("depth_16bit", view).astype(np.float64) / 65535 * (far - near) + near
        return depth

    @property
    def count(self) -> float:
        """The depth of one 16-bit grey level."""
        return float(self.transforms["depth_far"] - self.transforms["depth_near"]) / 65535

    def normals(self, view: int) -> Array:
        """World normals, decoded but not normalised."""
        normals: Array = self.picture("normals", view).astype(np.float64) / 255 * 2 - 1
        return normals

    def pose(self, view: int) -> Array:
        return np.array(self.transforms["frames"][view]["transform_matrix"], dtype=np.float64)

    def rays(self, view: int, offset: tuple[float, float] = (0.5, 0.5)) -> tuple[Array, Array]:
        """Origins of the rays through pixel centres, and their directions per unit of planar depth, (h, w, 3).

        `offset` is another position within the pixels: to the right and down, from 0 to 1.
        """
        camera = self.transforms
        columns, rows = np.meshgrid(np.arange(camera["w"]) + offset[0], np.arange(camera["h"]) + offset[1])
        across = (columns - camera["cx"]) / camera["fl_x"]
        down = (rows - camera["cy"]) / camera["fl_y"]
        pose = self.pose(view)
        directions = np.stack([across, -down, -np.ones_like(across)], axis=-1) @ pose[:3, :3].T
        return np.broadcast_to(pose[:3, 3], directions.shape), directions

    def points(self, view: int) -> Array:
        """The world point that every pixel shows, (h, w, 3)."""
        origins, directions = self.rays(view)
        return origins + directions * self.depth(view)[..., None]

    def cloud(self) -> tuple[Array, NDArray[np.uint8]]:
        """The sparse points, shape (n, 3), and their colours, as trimesh reads them from the PLY."""
        cloud = trimesh.load(io.BytesIO(self.files[self.transforms["ply_file_path"]]), file_type="ply")
        assert isinstance(cloud, trimesh.PointCloud)
        return np.asarray(cloud.vertices), np.asarray(cloud.colors)[:, :3]

    def project(self, view: int, points: Array) -> tuple[Array, Array, Array]:
        """Columns, rows (centres at +0.5) and planar depths of world points of shape (n, 3)."""
        camera, pose = self.transforms, self.pose(view)
        seen = (points - pose[:3, 3]) @ pose[:3, :3]
        depths = -seen[:, 2]
        columns = camera["fl_x"] * seen[:, 0] / depths + camera["cx"]
        rows = camera["fl_y"] * -seen[:, 1] / depths + camera["cy"]
        return columns, rows, depths
