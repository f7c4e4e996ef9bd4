"""Orders small datasets and draws them by a real Blender host."""

from pathlib import Path
from typing import Any

from farm import templates
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.dataset import produce
from farm.orders.dataset_plan import DatasetSpec
from farm.scene.shot import Engine
from farm.tiers import Coverage
from tests.support.blender import TIMEOUT_SECONDS

VIEWS, SIDE = 12, 160
SHA256 = "5e" * 32


def spec(
    coverage: Coverage = "hemisphere", *, views: int = VIEWS, side: int = SIDE, samples: int = 1, **others: Any
) -> DatasetSpec:
    """A small dataset. `others` are fields of the spec, such as `tilt_x`."""
    version = templates.version("studio")
    return DatasetSpec(SHA256, "studio", version, "100x800", coverage, views, side, samples, **others)


def drawn(host: BlenderHost, model: Path, dataset: DatasetSpec, folder: Path, *, engine: Engine = "cycles") -> Path:
    """Draw a dataset; returns the path of its ZIP."""
    with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
        shot = dataset.shot(str(model), engine)
        parts = list(produce.draw_views(blender, shot, dataset, range(dataset.views), folder))
    out = folder / "dataset.zip"
    produce.finish(dataset, parts.__getitem__, out)
    return out
