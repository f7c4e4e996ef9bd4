"""Assembles a dataset's files, in order, from the parts of its views."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import farm
from farm.dataset import cameras, colmap, exr_file, overview, points
from farm.dataset.depth import Depths, Mask, Range, enclosing_range, levels, linear_levels
from farm.dataset.split import DEFAULT_EVERY, split
from farm.dataset.view_files import png, unpack_depths
from farm.errors import BadModel
from farm.orders.dataset_plan import DatasetSpec
from farm.scene.camera import Array

FOLDERS = ("images", "depth", "depth_16bit", "normals", "masks")  # of a PNG for each view, in the dataset's order
DEPTH_BITS = {"depth": 8, "depth_16bit": 16}
DOWNSCALED = (2, 4)  # factors
ABOUT = "about.json"  # in every part: farm.scene.drawn_view.Opened, the engine, the view's depth range


class Assembly:
    """The files of a dataset; `part_of` returns the path of a view's part and is called at every access."""

    def __init__(self, spec: DatasetSpec, part_of: Callable[[int], Path]) -> None:
        self._spec, self._part_of = spec, part_of
        self._numbers = range(spec.views)

    @cached_property
    def bounds(self) -> Range:
        """The range of depth over all views. Raises BadModel when the model is in none of them."""
        ranges = [self._about(number)["range"] for number in self._numbers]
        found = [Range(*each) for each in ranges if each]
        if not found:
            raise BadModel("The model has no surface that can be seen: it is less than half opaque from every side")
        return enclosing_range(found)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """All files by name, in the dataset's order: the documented layout, then those of the other formats.

        Raises BadModel.
        """
        yield from self._layout()
        makers = {
            "colmap": self._colmap,
            "nerf-synthetic": self._nerf_synthetic,
            "rgba": self._rgba,
            "metric-depth": self._metric_depth,
            "downscaled": self._downscaled,
        }
        for each in self._spec.formats:
            yield from makers[each]()

    def _layout(self) -> Iterator[tuple[str, bytes]]:
        for folder in FOLDERS:
            for number in self._numbers:
                yield name(folder, number), self.picture(folder, number)
        names = [name("images", number) for number in self._numbers]
        yield "transforms.json", _json(self._transforms(names))
        yield "overview.webp", overview.webp(overview.draw_overview(len(names), self._open))
        yield cameras.POINTS, points.ply(np.concatenate([self._points(number) for number in self._numbers]))
        # In a folder of its own: instant-ngp reads every .json beside transforms.json as more views.
        yield "metadata/dataset.json", _json(self.metadata())

    def picture(self, folder: str, number: int) -> bytes:
        """The PNG of a view in one of FOLDERS."""
        if folder not in DEPTH_BITS:
            return self._read(number, f"{folder}.png")
        mask, depths = self._depths(number)
        return png(levels(depths, mask, self.bounds, DEPTH_BITS[folder]))

    def metadata(self) -> dict[str, Any]:
        """The dataset's provenance."""
        spec, about = self._spec, self._about(0)
        return {
            "model_sha256": spec.model_sha256,
            "template": spec.template,
            "template_version": spec.template_version,
            "quality": f"{spec.views}x{spec.side}",
            "coverage": spec.coverage,
            "engine": about["engine"],
            "samples": spec.samples,
            "versions": {"plinth": farm.__version__, "blender": about["blender"]},
            "source_to_dataset": about["source_to_dataset"],
        }

    def _colmap(self) -> Iterator[tuple[str, bytes]]:
        model = colmap.Model(self._spec.side, self._poses, [self._points(number) for number in self._numbers])
        yield from model.files([name("images", number).partition("/")[2] for number in self._numbers])

    def _nerf_synthetic(self) -> Iterator[tuple[str, bytes]]:
        for part, numbers in split(self._spec.views, self._spec.split or DEFAULT_EVERY).items():
            names = [f"{part}/r_{position}" for position in range(len(numbers))]
            poses = [self._poses[number] for number in numbers]
            yield f"nerf_synthetic/transforms_{part}.json", _json(cameras.synthetic(names, poses, self._spec.side))
            for file, number in zip(names, numbers, strict=True):
                yield f"nerf_synthetic/{file}.png", self._read(number, "images_rgba.png")

    def _rgba(self) -> Iterator[tuple[str, bytes]]:
        for number in self._numbers:
            yield name("images_rgba", number), self._read(number, "images_rgba.png")

    def _metric_depth(self) -> Iterator[tuple[str, bytes]]:
        for number in self._numbers:
            yield f"depth_exr/{number:04d}.exr", exr_file.encode(self._depths(number)[1])
        for number in self._numbers:
            yield name("depth_linear", number), png(linear_levels(self._depths(number)[1]))
        names = [f"../{name('images', number)}" for number in self._numbers]
        content = self._transforms(names)
        content["ply_file_path"] = f"../{cameras.POINTS}"
        for number, frame in enumerate(content["frames"]):
            frame["depth_file_path"] = f"{number:04d}.png"
        yield "depth_linear/transforms.json", _json(content)

    def _downscaled(self) -> Iterator[tuple[str, bytes]]:
        for factor in DOWNSCALED:
            for number in self._numbers:
                small = self._open("images", number).reduce(factor)
                yield name(f"images_{factor}", number), png(np.asarray(small))

    def _transforms(self, names: list[str]) -> dict[str, Any]:
        parts = split(self._spec.views, self._spec.split) if self._spec.split else {}
        return cameras.transforms(names, self._poses, self._spec.side, self.bounds, parts)

    @cached_property
    def _poses(self) -> list[Array]:
        return self._spec.poses()

    def _depths(self, number: int) -> tuple[Mask, Depths]:
        """A view's mask, and its planar depths, 0 in the background."""
        mask = np.asarray(self._open("masks", number)) > 0
        return mask, unpack_depths(self._read(number, "depth.bin"), mask)

    def _points(self, number: int) -> points.Points:
        return np.frombuffer(self._read(number, "points.bin"), points.POINT)

    def _about(self, number: int) -> dict[str, Any]:
        return dict(json.loads(self._read(number, ABOUT)))

    def _open(self, folder: str, number: int) -> Image.Image:
        return Image.open(io.BytesIO(self.picture(folder, number)))

    def _read(self, number: int, file: str) -> bytes:
        with zipfile.ZipFile(self._part_of(number)) as part:
            return part.read(file)


def name(folder: str, number: int) -> str:
    """The name of a view's PNG: padded, so that names sort as the views do."""
    return f"{folder}/{number:04d}.png"


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode() + b"\n"
