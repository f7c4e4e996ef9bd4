"""Draw a dataset: every view becomes a part of its own, and all parts together the dataset's ZIP.

A part is a ZIP of its view's files. Depth is stored raw, because its range is known only once all views are drawn.
"""

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from farm.blender.client import Blender
from farm.dataset import archive, view_files
from farm.dataset.assembly import ABOUT, Assembly
from farm.dataset.view_files import Developer, png
from farm.orders.dataset_plan import DatasetSpec
from farm.scene.shot import ShotSetup


def draw_views(
    blender: Blender, shot: ShotSetup, spec: DatasetSpec, numbers: Sequence[int], folder: Path
) -> Iterator[Path]:
    """Draw the views with these numbers, yielding the path of each one's part in `folder`, in order.

    Blender draws the next view while the files of this one are made. Raises RenderFailed and its subclasses.
    """
    opened = blender.open_views(shot)
    poses = spec.poses()
    developer = Developer(spec.side)
    for drawn in blender.views((number, poses[number]) for number in numbers):
        number, view = drawn.number, developer.develop(drawn)
        part = folder / f"view-{number:04d}.zip"
        with zipfile.ZipFile(part, "w") as files:
            archive.add(files, "images.png", png(view.picture))
            archive.add(files, "normals.png", png(view.normals))
            archive.add(files, "masks.png", png(view.silhouette))
            archive.add(files, "depth.bin", view_files.pack_depths(view))
            if {"rgba", "nerf-synthetic"} & set(spec.formats):
                archive.add(files, "images_rgba.png", png(view.rgba))
            archive.add(files, "points.bin", view_files.sample_points(view, number, poses[number], spec.views))
            about = {**asdict(opened), "engine": shot.engine, "range": view.range}
            archive.add(files, ABOUT, json.dumps(about).encode())
        yield part


def finish(spec: DatasetSpec, part_of: Callable[[int], Path], out: Path) -> None:
    """Write the dataset's ZIP to `out`. `part_of` returns the path of a view's part by its number.

    Holds the files of one view at a time in memory, and the sparse points. Raises BadModel when no view shows a
    surface.
    """
    with zipfile.ZipFile(out, "w") as files:
        for name, content in Assembly(spec, part_of).files():
            archive.add(files, name, content)
