"""Small datasets of three models from both coverages, drawn once a session by a real Blender host."""

from collections.abc import Callable
from pathlib import Path

import pytest

from farm import templates
from farm.blender.client import Blender, BlenderHost
from farm.dataset import produce
from farm.orders.dataset_plan import DatasetSpec
from farm.rendering.local import as_gltf
from farm.scene.shot import Engine
from farm.tiers import Coverage
from tests.dataset import models
from tests.dataset.dataset import Dataset
from tests.support.blender import TIMEOUT_SECONDS

VIEWS, SIDE = 12, 160
MODELS = {"concave": models.concave, "thin": models.thin, "scan": models.scan}
SHA256 = "5e" * 32


def spec(
    coverage: Coverage = "hemisphere", *, views: int = VIEWS, side: int = SIDE, samples: int = 1, **turned: int
) -> DatasetSpec:
    version = templates.version("studio")
    return DatasetSpec(SHA256, "studio", version, "100x800", coverage, views, side, samples, **turned)


def drawn(host: BlenderHost, model: Path, wanted: DatasetSpec, folder: Path, *, engine: Engine = "cycles") -> Path:
    """The ZIP of a dataset."""
    with Blender(host.socket_path, TIMEOUT_SECONDS) as blender:
        shot = wanted.shot(str(model), engine)
        parts = list(produce.draw_views(blender, shot, wanted, range(wanted.views), folder))
    out = folder / "dataset.zip"
    produce.finish(wanted, parts.__getitem__, out)
    return out


@pytest.fixture(scope="session")
def dataset_of(host: BlenderHost, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Coverage], Dataset]:
    """The dataset of one of MODELS, each drawn once."""
    made: dict[tuple[str, str], Dataset] = {}

    def get(name: str, coverage: Coverage) -> Dataset:
        if (name, coverage) not in made:
            folder = tmp_path_factory.mktemp(f"{name}-{coverage}")
            model = as_gltf(MODELS[name](folder), folder)
            made[name, coverage] = Dataset.read(drawn(host, model, spec(coverage), folder))
        return made[name, coverage]

    return get
